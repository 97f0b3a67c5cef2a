import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  defaultParameters,
  MIGRATION_PARAMETERS,
  type MigrationParameters,
  SternaError,
} from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';

/** Short enough to see what a last pass of a few milliseconds would meet. */
const INTERVAL_MS = 20;

export interface RecordedGuest {
  readonly bytes: Uint8Array;
  /** Undefined: nobody was asked. */
  readonly parameters: MigrationParameters | undefined;
}

/** The agent writes the trace where both see it: QMP is for one host. */
export async function recordGuest(qmp: QmpClient, seconds: number): Promise<RecordedGuest> {
  const directory = await mkdtemp(join(tmpdir(), 'sterna-plan-'));
  try {
    const filename = join(directory, 'guest.trace');
    const span = Math.round(seconds * 1000);
    await qmp.execute('x-record-trace-start', { filename, interval: INTERVAL_MS, span });
    for (;;) {
      const reply = (await qmp.execute('x-query-record-trace')) as Readonly<
        Record<string, unknown>
      >;
      if (reply.status === 'completed') break;
      if (reply.status === 'failed') {
        const { message } = reply.error as { readonly message: string };
        throw new SternaError('E_STATE', `The guest could not be recorded: ${message}`);
      }
    }
    return { bytes: await readFile(filename), parameters: await agentParameters(qmp) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** As they are set now. */
async function agentParameters(qmp: QmpClient): Promise<MigrationParameters> {
  const values = (await qmp.execute('query-migrate-parameters')) as Readonly<
    Record<string, unknown>
  >;
  const known = Object.entries(MIGRATION_PARAMETERS).flatMap(([name, { key }]) =>
    name in values ? [[key, values[name]]] : [],
  );
  // The agent's own table has made the values.
  return { ...defaultParameters(), ...(Object.fromEntries(known) as Partial<MigrationParameters>) };
}
