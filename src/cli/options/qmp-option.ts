import type { Command } from 'commander';
import { SternaError } from '../../base/index.ts';
import { QmpClient } from '../../control/client/index.ts';
import { parseQmpAddress } from '../arguments.ts';
import { AgentUnreachable } from '../failure.ts';

/** Adds the option that every command has which talks to an agent. */
export function withQmpOption(command: Command): Command {
  return command.requiredOption(
    '--qmp <address>',
    "the agent's control socket, unix:PATH or tcp:HOST:PORT",
    parseQmpAddress,
  );
}

export interface QmpOption {
  readonly qmp: string;
}

/** Connects, runs `action`, and closes the connection whatever happens. */
export async function withAgent<T>(
  address: string,
  action: (qmp: QmpClient) => Promise<T>,
): Promise<T> {
  const qmp = await QmpClient.connect(address).catch((error: unknown) => {
    throw error instanceof SternaError ? new AgentUnreachable(error) : error;
  });
  try {
    return await action(qmp);
  } finally {
    qmp.close();
  }
}
