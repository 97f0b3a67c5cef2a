import {
  type Clock,
  type Logger,
  PROBE_DATA_BYTES_MAX,
  PROBE_MS_MAX,
  Random,
  SternaError,
  toSternaError,
} from '../../base/index.ts';
import type { Channel } from '../../channel/index.ts';
import {
  encodeGoodbye,
  encodeProbe,
  encodeProbeEnd,
  FRAME_HEADER_BYTES,
  MESSAGE_TYPES,
  PROTOCOL_VERSION,
  type ProbeResultBody,
} from '../../protocol/index.ts';
import { Interrupt } from '../interrupt.ts';
import { LinkMeter } from '../link-meter.ts';
import { Peer } from '../peer.ts';
import { probeFrameBytes, probeWindowBytes } from './probe-window.ts';

/** On an idle link so many round trips tell the shortest one. */
const PING_COUNT = 8;
/**
 * TCP, and the window, need about half of these to fill a link; the other half is measured.
 */
const ROUND_TRIPS_MIN = 20;
/** Asked for, since the round trip is known only after the answer: 20 of 200 ms. */
const ASKED_MS_MIN = 4_000;
/** Frames that the transport has and this side may not write into. */
const SLOT_COUNT = 8;
const ALIVE_CHECK_MS = 100;
/** Less is no measurement. */
const SPAN_MS_MIN = 1;

export interface LinkProbeOptions {
  /** Connected to a destination, not started. */
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log: Logger;
  /** For which the link is filled, milliseconds; longer when twenty round trips are longer. */
  readonly durationMs: number;
  /** Silence of the destination after which it failed, milliseconds. */
  readonly stallTimeoutMs: number;
  /** Ends it with E_CANCELLED. */
  readonly signal?: AbortSignal;
}

export interface LinkMeasurement {
  /** As the destination received them, in the later half of the time. */
  readonly bytesPerSecond: number;
  /** The shortest one, before the link was filled. */
  readonly roundTripMs: number;
  readonly sentBytes: number;
}

/**
 * Measures the link to a destination that waits for a guest: round trip, then throughput. Nothing
 * changes there. Rejects with E_BUSY when a guest is there or comes, E_CANCELLED, E_CHANNEL_* or
 * E_PROTOCOL_*; the channel is closed in any case.
 */
export async function measureLink(options: LinkProbeOptions): Promise<LinkMeasurement> {
  const probe = new LinkProbe(options);
  const { channel, clock, signal, stallTimeoutMs } = options;
  const onAbort = () => probe.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  const stopChecking = clock.every(ALIVE_CHECK_MS, () => probe.checkAlive(stallTimeoutMs));
  try {
    if (signal?.aborted) throw cancelled();
    const measured = await probe.run();
    void channel.end().catch(() => {});
    return measured;
  } catch (thrown) {
    const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Link could not be measured');
    channel.destroy(error);
    throw error;
  } finally {
    probe.finish();
    stopChecking();
    signal?.removeEventListener('abort', onAbort);
  }
}

class LinkProbe {
  private readonly options: LinkProbeOptions;
  private readonly interrupt: Interrupt;
  private readonly meter = new LinkMeter();
  private readonly peer: Peer;
  private readonly freeSlots: Uint8Array[] = [];
  private sentBytes = 0;

  constructor(options: LinkProbeOptions) {
    this.options = options;
    const { channel, clock } = options;
    this.interrupt = new Interrupt(clock);
    this.peer = new Peer(channel, clock, this.interrupt, this.meter);
  }

  async run(): Promise<LinkMeasurement> {
    const { channel, clock, log, durationMs, stallTimeoutMs } = this.options;
    const { peer, interrupt, meter } = this;
    channel.start(peer);
    const asked = Math.min(PROBE_MS_MAX, Math.max(ASKED_MS_MIN, Math.ceil(durationMs)));
    await peer.send('PROBE', encodeProbe({ protocol: PROTOCOL_VERSION, durationMs: asked }));
    await interrupt.until(() => peer.state !== 'asking', stallTimeoutMs, 'answer to PROBE');
    const granted = await peer.probeAck.promise;
    const endMs = clock.nowMs() + granted.durationMs;
    for (let count = 1; count <= PING_COUNT; count += 1) {
      peer.ping();
      await interrupt.until(() => peer.pongCount >= count, stallTimeoutMs, 'answer to PING');
    }
    const { roundTripMs } = meter;
    const startMs = clock.nowMs();
    const fillMs = Math.max(durationMs, ROUND_TRIPS_MIN * roundTripMs);
    this.makeSlots();
    await this.fill(Math.min(endMs, startMs + fillMs), granted.bytes);
    await peer.send('PROBE_END', encodeProbeEnd({ bytes: this.sentBytes }));
    await interrupt.until(() => peer.state === 'measured', stallTimeoutMs, 'result of the probe');
    const result = await peer.probeResult.promise;
    this.check(result, clock.nowMs() - startMs);
    await peer.send('GOODBYE', encodeGoodbye());
    const bytesPerSecond = (result.spanBytes * 1000) / result.spanMs;
    const measured = { bytesPerSecond, roundTripMs, sentBytes: this.sentBytes };
    log.info({ event: 'probe.measured', peer: channel.name, ...measured });
    return measured;
  }

  cancel(): void {
    this.interrupt.raise(cancelled());
  }

  checkAlive(limitMs: number): void {
    this.peer.checkAlive(limitMs);
  }

  finish(): void {
    this.peer.finish();
  }

  /** Throws when the destination has counted what cannot be, or too little to tell a rate. */
  private check({ receivedBytes, spanBytes, spanMs }: ProbeResultBody, elapsedMs: number): void {
    if (receivedBytes !== this.sentBytes || spanBytes > receivedBytes || spanMs > elapsedMs) {
      throw new SternaError('E_PROTOCOL_BAD_BODY', 'Destination has measured what cannot be', {
        detail: { receivedBytes, sentBytes: this.sentBytes, spanBytes, spanMs, elapsedMs },
      });
    }
    if (spanMs >= SPAN_MS_MIN) return;
    throw new SternaError('E_CHANNEL_TIMEOUT', 'Too little crossed the link to measure it');
  }

  /** Noise, so that nothing on the way makes it smaller. */
  private makeSlots(): void {
    const random = new Random(1);
    const slot = new Uint32Array((FRAME_HEADER_BYTES + PROBE_DATA_BYTES_MAX) / 4);
    for (let index = 0; index < slot.length; index += 1) slot[index] = random.uint32();
    for (let count = 0; count < SLOT_COUNT; count += 1) {
      this.freeSlots.push(new Uint8Array(slot.slice().buffer));
    }
  }

  /** Sends as much as the link takes until `endMs`, or `bytesMax`. */
  private async fill(endMs: number, bytesMax: number): Promise<void> {
    const { channel, clock } = this.options;
    const { interrupt, meter } = this;
    for (;;) {
      const leftMs = endMs - clock.nowMs();
      const { bytesPerMs } = meter;
      const bodyBytes = probeFrameBytes(bytesPerMs);
      const frameBytes = FRAME_HEADER_BYTES + bodyBytes;
      if (leftMs <= 0 || this.sentBytes + frameBytes > bytesMax) return;
      const windowBytes = probeWindowBytes(bytesPerMs, meter.roundTripMs);
      const isFull = channel.sentBytes - meter.acknowledgedBytes >= windowBytes;
      const slot = isFull ? undefined : this.freeSlots.pop();
      if (slot === undefined) {
        await interrupt.waitFor(leftMs);
        continue;
      }
      this.send(slot, bodyBytes);
      this.sentBytes += frameBytes;
      // Acknowledgements, and whatever else the thread has to do.
      await clock.yieldToLoop();
      interrupt.throwIfRaised();
    }
  }

  private send(slot: Uint8Array, bodyBytes: number): void {
    this.peer.sending('PROBE_DATA');
    const frame = { type: MESSAGE_TYPES.PROBE_DATA, block: 0, bodyBytes };
    const taken = this.options.channel.sendSlot(slot, { ...frame, checkedBytes: 0, checkedCrc: 0 });
    taken.then(
      () => {
        this.freeSlots.push(slot);
        this.interrupt.wake();
      },
      (error) => this.interrupt.raise(error),
    );
  }
}

function cancelled(): SternaError {
  return new SternaError('E_CANCELLED', 'Link probe was ended');
}
