import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Agent,
  type AgentOptions,
  type GuestOptions,
  QmpClient,
  type QmpEvent,
  startAgent,
} from '../../../src/control/index.ts';
import { until } from '../../support/until.ts';

export const IDLE_GUEST: GuestOptions = {
  ramBytes: 16 * 2 ** 20,
  vcpuCount: 1,
  workload: 'idle',
  seed: 1,
};

export const BUSY_GUEST: GuestOptions = {
  ...IDLE_GUEST,
  vcpuCount: 2,
  workload: 'memwrite,fill=8M,hot=2M,rate=2000,words=8,step=512',
};

export type Fields = Readonly<Record<string, unknown>>;

/** An agent in this process and one client of it, which keeps the events that it saw. */
export interface Driven {
  readonly agent: Agent;
  readonly qmp: QmpClient;
  readonly events: QmpEvent[];
  /** What `query-migrate` says when the condition holds. */
  migration(condition: (reply: Fields) => boolean): Promise<Fields>;
  /** Resolves when the event has come, counted from the start. */
  event(name: string, data?: Fields): Promise<void>;
}

/** Starts agents in a folder of their own, and ends them all. */
export class AgentHarness {
  readonly directory = mkdtempSync(join(tmpdir(), 'sterna-agents-'));
  private readonly agents: Agent[] = [];
  private readonly clients: QmpClient[] = [];

  async source(name: string, machine: GuestOptions = IDLE_GUEST): Promise<Driven> {
    return this.driven(await this.start({ name, role: 'source', machine }));
  }

  async destination(name: string, options: Partial<AgentOptions> = {}): Promise<Driven> {
    const listen = 'tcp:127.0.0.1:0';
    return this.driven(await this.start({ name, role: 'destination', listen, ...options }));
  }

  async start(
    options: Pick<AgentOptions, 'name' | 'role'> & Partial<AgentOptions>,
  ): Promise<Agent> {
    const stateDir = join(this.directory, options.name);
    const agent = await startAgent({ qmp: [], stateDir, logLevel: 'silent', ...options });
    this.agents.push(agent);
    return agent;
  }

  async client(agent: Agent): Promise<QmpClient> {
    const client = await QmpClient.connect(agent.ready.qmp[0] ?? '');
    this.clients.push(client);
    return client;
  }

  async end(): Promise<void> {
    for (const client of this.clients) client.close();
    await Promise.all(this.agents.map((agent) => agent.close()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  async driven(agent: Agent): Promise<Driven> {
    const qmp = await this.client(agent);
    const events: QmpEvent[] = [];
    const waiting = new Set<() => void>();
    qmp.onEvent((event) => {
      events.push(event);
      for (const look of waiting) look();
    });
    const capabilities = [{ capability: 'events', state: true }];
    await qmp.execute('migrate-set-capabilities', { capabilities });
    return {
      agent,
      qmp,
      events,
      migration: (condition) => migrationWhere(qmp, condition),
      event: (name, data) =>
        new Promise((resolve) => {
          const look = () => {
            if (!events.some((event) => matches(event, name, data))) return;
            waiting.delete(look);
            resolve();
          };
          waiting.add(look);
          look();
        }),
    };
  }
}

export function statusOf(reply: Fields): unknown {
  return reply.status;
}

/** True when the migration is over and its proof too. */
export function isProven(reply: Fields): boolean {
  const ours = reply['x-sterna'] as { verify: { status: string } } | undefined;
  return reply.status === 'completed' && ours?.verify.status !== 'running';
}

/**
 * The names of events, with the status of MIGRATION; passes are left out, for their number is the
 * guest's.
 */
export function story(events: readonly QmpEvent[]): string[] {
  return events
    .filter(({ event }) => event !== 'MIGRATION_PASS')
    .map(({ event, data }) => (event === 'MIGRATION' ? String(data.status) : event));
}

function matches(event: QmpEvent, name: string, data: Fields | undefined): boolean {
  if (event.event !== name) return false;
  return Object.entries(data ?? {}).every(([key, value]) => event.data[key] === value);
}

function migrationWhere(qmp: QmpClient, condition: (reply: Fields) => boolean): Promise<Fields> {
  return until('a reply of query-migrate', async () => {
    const reply = (await qmp.execute('query-migrate')) as Fields;
    return condition(reply) ? reply : undefined;
  });
}
