import { type Clock, deferred, SternaError } from '../base/index.ts';
import type { FrameHeader } from '../protocol/index.ts';
import type { Channel } from './channel.ts';
import { FrameChannel } from './frame-channel.ts';
import { type FrameFate, MemoryLink, type MemoryLinkOptions } from './memory-link.ts';
import { endWithinLimit, type Transport, type TransportEvents } from './transport.ts';

export type MemoryDirection = 'a-to-b' | 'b-to-a';

export interface MemoryPairOptions extends MemoryLinkOptions {
  readonly clock: Clock;
  /** Asked once for each frame, when it departs; `frameIndex` counts from 0 in each direction. */
  readonly faults?: (
    direction: MemoryDirection,
    frameIndex: number,
    header: FrameHeader,
  ) => FrameFate;
}

export interface MemoryChannelPair {
  readonly a: Channel;
  readonly b: Channel;
  /** Breaks the connection now; both sides see E_CHANNEL_RESET. */
  cut(): void;
}

/**
 * Two channels connected in memory: a transport like the others, for the simulator and for tests.
 * Time passes only in `clock`, so with a SimClock the same program has the same history each time.
 */
export function memoryChannelPair(options: MemoryPairOptions): MemoryChannelPair {
  const { clock } = options;
  const connection = new MemoryConnection(options);
  return {
    a: new FrameChannel('memory:b', clock, (events) => connection.openEnd('a', events)),
    b: new FrameChannel('memory:a', clock, (events) => connection.openEnd('b', events)),
    cut: () => connection.cut(),
  };
}

/** The two links of a connection, and its two ends. Each end is opened once. */
export class MemoryConnection {
  private readonly clock: Clock;
  private readonly links: Readonly<Record<MemoryDirection, MemoryLink>>;

  constructor(options: MemoryPairOptions) {
    const link = (direction: MemoryDirection): MemoryLink => {
      const decideFate = (frameIndex: number, header: FrameHeader): FrameFate =>
        options.faults?.(direction, frameIndex, header) ?? 'deliver';
      return new MemoryLink(options.clock, options, decideFate, () => this.cut());
    };
    this.clock = options.clock;
    this.links = { 'a-to-b': link('a-to-b'), 'b-to-a': link('b-to-a') };
  }

  openEnd(end: 'a' | 'b', events: TransportEvents): Transport {
    const [outgoing, incoming] =
      end === 'a'
        ? [this.links['a-to-b'], this.links['b-to-a']]
        : [this.links['b-to-a'], this.links['a-to-b']];
    return new MemoryTransport(this.clock, outgoing, incoming, events);
  }

  cut(): void {
    const error = new SternaError('E_CHANNEL_RESET', 'Lost the connection');
    this.links['a-to-b'].fail(error);
    this.links['b-to-a'].fail(error);
  }
}

class MemoryTransport implements Transport {
  readonly duplex = true;
  private readonly clock: Clock;
  private readonly outgoing: MemoryLink;
  private readonly incoming: MemoryLink;
  private readonly events: TransportEvents;
  private readonly incomingOver = deferred<void>();

  constructor(clock: Clock, outgoing: MemoryLink, incoming: MemoryLink, events: TransportEvents) {
    this.clock = clock;
    this.outgoing = outgoing;
    this.incoming = incoming;
    this.events = events;
    incoming.connect({
      ...events,
      ended: () => {
        this.incomingOver.resolve();
        events.ended();
      },
      failed: (error) => events.failed(error),
    });
  }

  startReading(): void {
    this.incoming.startReading();
  }

  write(bytes: Uint8Array, done: (error?: SternaError) => void): void {
    this.outgoing.write(bytes, done);
  }

  async end(): Promise<void> {
    // Also without a sink: otherwise the peer's end would never be seen.
    this.incoming.startReading();
    const over = Promise.all([this.outgoing.end(), this.incomingOver.promise]);
    await endWithinLimit(this.clock, over, this.events.failed);
  }

  reset(): void {
    this.incoming.stopReading();
    this.incomingOver.resolve();
    this.outgoing.fail(new SternaError('E_CHANNEL_RESET', 'Connection was reset by the peer'));
  }
}
