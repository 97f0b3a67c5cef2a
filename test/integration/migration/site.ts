import { expect } from 'vitest';
import type { ErrorReport } from '../../../src/base/index.ts';
import type { QmpClient, QmpEvent } from '../../../src/control/client/index.ts';
import type { AgentProcess } from '../../../src/experiments/index.ts';
import { until } from '../../support/until.ts';
import type { GuestPlace, TestGuest } from './test-guest.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** What tests read of a reply to `query-migrate`. */
export interface MigrationReply {
  readonly status?: string;
  readonly ram: Readonly<Record<string, number>>;
  readonly downtime?: number;
  readonly 'error-desc'?: string;
  readonly 'xbzrle-cache'?: Readonly<Record<string, number>>;
  readonly 'socket-address'?: readonly { readonly host: string; readonly port: string }[];
  readonly 'x-sterna': {
    readonly owner: string;
    readonly epoch: number;
    readonly side: string;
    readonly mode: string;
    readonly error?: ErrorReport;
    readonly verify: { readonly status: string; readonly pages: number };
    readonly 'page-kinds': Readonly<Record<string, { pages: number; bytes: number }>>;
    readonly passes: readonly Readonly<Record<string, number | boolean>>[];
  };
}

const OVER = ['completed', 'failed', 'cancelled'];

export interface SiteParts {
  readonly name: string;
  readonly agent: AgentProcess;
  /** Which the agent has, or may get. */
  readonly guest: TestGuest;
  /** What it prints there. */
  readonly consoleFile: string;
}

/** One agent, as its operator sees it: a process, and a QMP connection that keeps the events. */
export class Site implements GuestPlace {
  readonly name: string;
  readonly agent: AgentProcess;
  readonly consoleFile: string;
  readonly qmp: QmpClient;
  readonly events: QmpEvent[] = [];
  private readonly guest: TestGuest;

  private constructor({ name, agent, guest, consoleFile }: SiteParts, qmp: QmpClient) {
    this.name = name;
    this.agent = agent;
    this.guest = guest;
    this.consoleFile = consoleFile;
    this.qmp = qmp;
    qmp.onEvent((event) => this.events.push(event));
  }

  /** `migrates`: it begins with a migration, and capabilities cannot change any more. */
  static async of(parts: SiteParts, migrates = false): Promise<Site> {
    const site = new Site(parts, await parts.agent.connect());
    if (!migrates) await site.enable('events');
    return site;
  }

  ask(command: string): Promise<unknown> {
    return this.qmp.execute(command);
  }

  async enable(capability: string, state = true): Promise<void> {
    const capabilities = [{ capability, state }];
    await this.qmp.execute('migrate-set-capabilities', { capabilities });
  }

  async set(parameters: Fields): Promise<void> {
    await this.qmp.execute('migrate-set-parameters', parameters);
  }

  async migrate(uri: string): Promise<void> {
    await this.qmp.execute('migrate', { uri });
  }

  /** `migrate-incoming`. While its last migration says goodbye an agent takes no guest. */
  async listen(uri: string): Promise<void> {
    await until(`${this.name} takes a guest`, () =>
      this.qmp.execute('migrate-incoming', { uri }).then(
        () => true,
        ({ message }: Error) => message.includes('listens for a guest already') || undefined,
      ),
    );
  }

  async query(): Promise<MigrationReply> {
    // Our own agent; each test looks at the fields that it needs.
    return (await this.qmp.execute('query-migrate')) as MigrationReply;
  }

  /** The first reply for which `condition` holds. */
  migration(
    what: string,
    condition: (reply: MigrationReply) => boolean,
    limitMs?: number,
  ): Promise<MigrationReply> {
    const ask = async () => {
      const reply = await this.query();
      return condition(reply) ? reply : undefined;
    };
    return until(`${this.name}: ${what}`, ask, limitMs);
  }

  hasStatus(status: string): Promise<MigrationReply> {
    return this.migration(status, (reply) => reply.status === status);
  }

  /** The reply when the migration has ended, well or not. */
  over(limitMs?: number): Promise<MigrationReply> {
    return this.migration('an end', ({ status = '' }) => OVER.includes(status), limitMs);
  }

  /** The reply when the migration has ended, and its proof too. */
  async proven(): Promise<MigrationReply> {
    const reply = await this.migration('a proof', (now) => {
      const compared = now.status !== 'completed' || now['x-sterna'].verify.status !== 'running';
      return OVER.includes(now.status ?? '') && compared;
    });
    expect(reply['x-sterna'].error).toBeUndefined();
    expect(reply).toMatchObject({ status: 'completed', 'x-sterna': { owner: 'destination' } });
    return reply;
  }

  async runState(): Promise<{ readonly running: boolean; readonly status: string }> {
    return (await this.qmp.execute('query-status')) as { running: boolean; status: string };
  }

  async isRunning(): Promise<boolean> {
    return (await this.runState()).running;
  }

  /** Work that the guest has done, in steps of its program. */
  steps(): Promise<number> {
    return this.guest.steps(this);
  }

  /** Resolves when the guest has done something from now on. */
  async advances(steps = 1): Promise<void> {
    const from = await this.steps();
    await until(`the guest advances at ${this.name}`, async () =>
      (await this.steps()) >= from + steps ? true : undefined,
    );
  }

  /** The guest finds everything as it must be, and goes on afterwards if it ran. */
  checkGuest(): Promise<void> {
    return this.guest.check(this);
  }

  /** Resolves when that many events of the name have come since the connection was made. */
  async event(name: string, data: Fields = {}): Promise<QmpEvent> {
    return until(`event ${name} at ${this.name}`, () =>
      this.events.find(
        (event) =>
          event.event === name &&
          Object.entries(data).every(([key, value]) => event.data[key] === value),
      ),
    );
  }
}
