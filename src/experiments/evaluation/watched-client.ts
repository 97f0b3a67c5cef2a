import type { Clock } from '../../base/index.ts';
import type { AgentPair } from '../agent-pair.ts';
import { ErpClient } from '../clients/erp-client.ts';
import { StreamClient } from '../clients/stream-client.ts';
import type { ConsoleWatch } from './console-watch.ts';
import type { ClientFigures } from './figures.ts';
import type { ClientSpec } from './scenario.ts';

/** Watched before the guest moves, and after it has. */
const BEFORE_MS = 2_000;
const AFTER_MS = 1_000;

/** What all kinds of clients report, in one form. */
export interface Sight {
  readonly events: number;
  readonly longestMs: number;
  readonly freezeMs: number;
  readonly lostFrames: number;
  readonly damagedFrames: number;
  readonly sessionsAlive: number;
  readonly sessionsDead: number;
}

/** A client of the guest, and its rates before the migration and in the first pass. */
export class WatchedClient {
  private readonly clock: Clock;
  private readonly look: () => Sight;
  private readonly end: () => Promise<unknown>;
  private before = { atMs: 0, events: 0, rate: 0 };
  private firstPass: { readonly rate: number } | undefined;

  private constructor(clock: Clock, look: () => Sight, end: () => Promise<unknown>) {
    this.clock = clock;
    this.look = look;
    this.end = end;
  }

  /** Resolves when it has watched for a while; undefined without a SPEC. */
  static async start(
    spec: ClientSpec | undefined,
    pair: AgentPair,
    clock: Clock,
  ): Promise<WatchedClient | undefined> {
    if (spec === undefined) return undefined;
    const services = [pair.source.ready.service, pair.destination.ready.service];
    const addresses = services.filter((address) => address !== undefined);
    const watched =
      spec.kind === 'stream'
        ? WatchedClient.ofStream(spec, addresses, clock)
        : WatchedClient.ofErp(spec, addresses, clock);
    await watched.warmUp();
    return watched;
  }

  /** What a Linux prints on its console; resolves when it has watched for a while. */
  static async ofConsole(watch: ConsoleWatch, clock: Clock): Promise<WatchedClient> {
    const watched = new WatchedClient(
      clock,
      () => watch.sight(),
      async () => {},
    );
    await watched.warmUp();
    return watched;
  }

  private static ofStream(
    spec: Extract<ClientSpec, { kind: 'stream' }>,
    addresses: readonly string[],
    clock: Clock,
  ): WatchedClient {
    const client = StreamClient.start({ ...spec, addresses, clock });
    const look = () => {
      const report = client.report();
      return {
        events: report.frames,
        longestMs: report.longestGapMs,
        freezeMs: report.longestFreezeMs,
        lostFrames: report.lostFrames,
        damagedFrames: report.damagedFrames,
        sessionsAlive: 1,
        sessionsDead: 0,
      };
    };
    return new WatchedClient(clock, look, () => client.stop());
  }

  private static ofErp(
    spec: Extract<ClientSpec, { kind: 'erp' }>,
    addresses: readonly string[],
    clock: Clock,
  ): WatchedClient {
    const client = ErpClient.start({ ...spec, addresses, clock });
    const look = () => {
      const report = client.report();
      return {
        events: report.transactions,
        longestMs: report.latencyMaxMs,
        freezeMs: 0,
        lostFrames: 0,
        damagedFrames: 0,
        sessionsAlive: report.sessionsAlive,
        sessionsDead: report.sessionsDead,
      };
    };
    return new WatchedClient(clock, look, () => client.stop());
  }

  /** The rate in the first pass is counted until here; later calls change nothing. */
  firstPassEnded(): void {
    if (this.firstPass !== undefined) return;
    const seconds = (this.clock.nowMs() - this.before.atMs) / 1000;
    this.firstPass = { rate: (this.look().events - this.before.events) / seconds };
  }

  /** Watches a little longer, and says what it saw. */
  async afterwards(): Promise<ClientFigures> {
    this.firstPassEnded();
    await this.clock.sleep(AFTER_MS);
    const { events: _, ...sight } = this.look();
    return { ...sight, rateBefore: this.before.rate, rateDuring: this.firstPass?.rate ?? 0 };
  }

  async stop(): Promise<void> {
    await this.end();
  }

  private async warmUp(): Promise<void> {
    // The first frames and transactions are those of connections that are being made.
    await this.clock.sleep(BEFORE_MS / 2);
    const first = { atMs: this.clock.nowMs(), events: this.look().events };
    await this.clock.sleep(BEFORE_MS);
    const atMs = this.clock.nowMs();
    const { events } = this.look();
    const rate = ((events - first.events) * 1000) / (atMs - first.atMs);
    this.before = { atMs, events, rate };
  }
}
