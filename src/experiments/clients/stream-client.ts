import { type Clock, systemClock } from '../../base/index.ts';
import { frameDamage, NEWEST } from '../../guest/index.ts';
import { Playback, type PlaybackReport } from './playback.ts';
import { ServiceClient } from './service-client.ts';

export interface StreamClientOptions {
  /** Services of all agents at which the guest may be, `tcp:HOST:PORT`. */
  readonly addresses: readonly string[];
  /** As the guest's. */
  readonly framesPerSecond: number;
  readonly bufferMs: number;
  /** Which vCPU's stream. */
  readonly channel?: number;
  readonly clock?: Clock;
}

export interface StreamReport extends PlaybackReport {
  /** Frames that were overwritten before they could be had. */
  readonly lostFrames: number;
  /** Frames whose bytes were not theirs. */
  readonly damagedFrames: number;
  /** What was wrong with the first of them. */
  readonly damage: string | undefined;
  /** Connections that were made: one more than reconnects. */
  readonly connections: number;
  /** The frame that it would have next. */
  readonly nextFrame: number;
}

/**
 * Watches a channel of a `stream` guest: begins a buffer's length behind the newest frame, takes
 * every frame by its number, checks its bytes, and goes on with the same number at the next address
 * when the guest has moved.
 */
export class StreamClient {
  private readonly client: ServiceClient;
  private readonly playback: Playback;
  private readonly clock: Clock;
  private readonly channel: number;
  private readonly ending = new AbortController();
  private readonly running: Promise<void>;
  private next = 0;
  private lostFrames = 0;
  private damagedFrames = 0;
  private damage: string | undefined;

  private constructor(options: StreamClientOptions) {
    const { addresses, framesPerSecond, bufferMs, channel = 0, clock = systemClock() } = options;
    this.clock = clock;
    this.channel = channel;
    this.client = new ServiceClient(addresses, clock);
    this.playback = new Playback(framesPerSecond, bufferMs);
    this.running = this.watch();
  }

  static start(options: StreamClientOptions): StreamClient {
    return new StreamClient(options);
  }

  /** So far. */
  report(): StreamReport {
    const { lostFrames, damagedFrames, damage, next } = this;
    const { connections } = this.client;
    const seen = this.playback.report(this.clock.nowMs());
    return { ...seen, lostFrames, damagedFrames, damage, connections, nextFrame: next };
  }

  /** Ends it. */
  async stop(): Promise<StreamReport> {
    const report = this.report();
    this.ending.abort();
    await this.running;
    this.client.close();
    return report;
  }

  private async watch(): Promise<void> {
    const newest = await this.ask(NEWEST);
    this.next = Math.max(0, (newest?.number ?? 0) + 1 - this.playback.capacity);
    while (!this.ending.signal.aborted) {
      const answer = await this.ask(this.next);
      if (answer === undefined) return;
      if (answer.status === 'done') this.take(answer.body);
      else this.skipTo(answer.number);
    }
  }

  private take(bytes: Uint8Array): void {
    const damage = frameDamage(bytes, this.next);
    if (damage !== undefined) {
      this.damagedFrames += 1;
      this.damage ??= `frame ${this.next}: ${damage}`;
    }
    this.playback.frame(this.clock.nowMs());
    this.next += 1;
  }

  /** What is overwritten is lost; a guest that is further back than before has lost all since. */
  private skipTo(number: number): void {
    this.lostFrames += Math.abs(number - this.next);
    this.next = number;
  }

  private ask(number: number) {
    const request = { service: 'stream', session: this.channel, number } as const;
    return this.client.ask(request, this.ending.signal);
  }
}
