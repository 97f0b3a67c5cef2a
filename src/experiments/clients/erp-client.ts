import { type Clock, systemClock } from '../../base/index.ts';
import { ServiceClient } from './service-client.ts';

export interface ErpClientOptions {
  /** Services of all agents at which the guest may be, `tcp:HOST:PORT`. */
  readonly addresses: readonly string[];
  /** At most the guest's; each has a connection of its own. */
  readonly sessions: number;
  /** Between the end of a transaction and the next one of the same session. */
  readonly thinkMs: number;
  /** A session whose transaction takes longer dies. */
  readonly limitMs?: number;
  readonly clock?: Clock;
}

export interface ErpReport {
  readonly sessionsAlive: number;
  readonly sessionsDead: number;
  /** Why the first of them died. */
  readonly firstDeath: string | undefined;
  readonly transactions: number;
  /** As a client sees it, reconnecting included; of transactions that ended. Milliseconds. */
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly latencyMaxMs: number;
  readonly connections: number;
}

/** The session timeout of a business system, after which its user is logged off. */
const SESSION_LIMIT_MS = 5000;

/**
 * Users of an `erp` guest: each runs one transaction after the other and numbers them. The guest
 * commits each number once, so a session that is told another number than its own has lost a
 * transaction, and dies as well.
 */
export class ErpClient {
  private readonly options: ErpClientOptions;
  private readonly clock: Clock;
  private readonly clients: readonly ServiceClient[];
  private readonly ending = new AbortController();
  private readonly running: Promise<unknown>;
  private readonly latenciesMs: number[] = [];
  private readonly deaths: string[] = [];

  private constructor(options: ErpClientOptions) {
    const { addresses, sessions, clock = systemClock() } = options;
    this.options = options;
    this.clock = clock;
    this.clients = Array.from({ length: sessions }, () => new ServiceClient(addresses, clock));
    this.running = Promise.all(this.clients.map((client, session) => this.live(client, session)));
  }

  static start(options: ErpClientOptions): ErpClient {
    return new ErpClient(options);
  }

  /** So far. */
  report(): ErpReport {
    const sorted = [...this.latenciesMs].sort((left, right) => left - right);
    const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    return {
      sessionsAlive: this.clients.length - this.deaths.length,
      sessionsDead: this.deaths.length,
      firstDeath: this.deaths[0],
      transactions: sorted.length,
      latencyP50Ms: at(0.5),
      latencyP99Ms: at(0.99),
      latencyMaxMs: at(1),
      connections: this.clients.reduce((sum, { connections }) => sum + connections, 0),
    };
  }

  /** Ends all sessions; transactions under way do not count. */
  async stop(): Promise<ErpReport> {
    const report = this.report();
    this.ending.abort();
    await this.running;
    return report;
  }

  private async live(client: ServiceClient, session: number): Promise<void> {
    const { signal } = this.ending;
    for (let number = 1; !signal.aborted; number += 1) {
      const death = await this.transaction(client, session, number);
      if (signal.aborted) break;
      if (death !== undefined) {
        this.deaths.push(`session ${session}, transaction ${number}: ${death}`);
        break;
      }
      await this.clock.sleep(this.options.thinkMs, signal);
    }
    client.close();
  }

  /** Why the session is dead; undefined when it lives. */
  private async transaction(
    client: ServiceClient,
    session: number,
    number: number,
  ): Promise<string | undefined> {
    const { limitMs = SESSION_LIMIT_MS } = this.options;
    const fromMs = this.clock.nowMs();
    const asking = new AbortController();
    const end = () => asking.abort();
    this.ending.signal.addEventListener('abort', end, { once: true });
    const ended = new AbortController();
    void this.clock.sleep(limitMs, ended.signal).then(end);
    const request = { service: 'erp', session, number } as const;
    const answer = await client.ask(request, asking.signal);
    ended.abort();
    this.ending.signal.removeEventListener('abort', end);
    if (answer === undefined) return `no answer within ${limitMs} ms`;
    if (answer.status !== 'done') return `the guest has committed ${answer.number}`;
    this.latenciesMs.push(this.clock.nowMs() - fromMs);
    return undefined;
  }
}
