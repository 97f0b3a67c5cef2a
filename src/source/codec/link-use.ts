/**
 * Whether the link is what the sender waits for, and how fast it is then.
 *
 * Only a link that is waited for shows its rate: what a sender that is busy with something else
 * brings over it says nothing. Taken for the link's, the rate of a sender that is busy with
 * compressing would look like a slow link, for which it should compress.
 */
export interface LinkState {
  readonly nowMs: number;
  /** Highest rate of late, whatever set it; undefined until there was one. */
  readonly measuredBytesPerMs: number | undefined;
  /** Undefined: no limit. */
  readonly limitBytesPerMs: number | undefined;
  readonly sentBytes: number;
  readonly acknowledgedBytes: number;
  readonly roundTripMs: number;
}

/** Of the sender's time; more is waiting that matters. */
const WAIT_SHARE_MIN = 0.4;
/** Over about so much of the sender's time. */
const SHARE_MS = 20;
/**
 * A rate that the link once showed holds so long without being shown again. Then pages go as they
 * are until the link is waited for: if it is the limit, that is soon.
 */
const KEEP_MS = 300;
/**
 * Silence of a link that is faster than it seems. A guess from the first answers holds after it.
 */
const SILENCE_MS = 5;
/** An answer comes for so much at once, and may be under way. */
const UNTOLD_BYTES = 512 * 2 ** 10;
/** So much goes before the first answers are looked at: a frame, also when it was compressed. */
const LOOK_BYTES = 512 * 2 ** 10;
/** Over a longer way the answers are not waited for. */
const LOOK_ROUND_TRIP_MS = 10;

export class LinkUse {
  private waitMs = 0;
  private workMs = 0;
  private startMs: number | undefined;
  private shown: { readonly bytesPerMs: number; readonly atMs: number } | undefined;

  /** A frame of which the sender waited so long for the link, and which took so long to make. */
  frame(startMs: number, waitMs: number, workMs: number): void {
    this.startMs ??= startMs;
    if (this.waitMs + this.workMs > SHARE_MS) {
      this.waitMs /= 2;
      this.workMs /= 2;
    }
    this.waitMs += waitMs;
    this.workMs += workMs;
  }

  /**
   * For `chooseCodec`: undefined while nothing is known, infinite when the link is not waited for.
   */
  bytesPerMs(state: LinkState): number | undefined {
    const { limitBytesPerMs } = state;
    const rate = this.rate(state);
    return limitBytesPerMs === undefined ? rate : Math.min(limitBytesPerMs, rate ?? Infinity);
  }

  /**
   * How long the sender should still wait for the first answers; 0: they are here, or will not say
   * more soon. Without that much would be sent, or compressed, for a link that is not known: where
   * it is slow the buffers of the system take megabytes at once.
   */
  lookMs(state: LinkState): number {
    const { nowMs, measuredBytesPerMs, limitBytesPerMs, sentBytes, roundTripMs } = state;
    if (measuredBytesPerMs !== undefined || limitBytesPerMs !== undefined) return 0;
    if (this.startMs === undefined || sentBytes < LOOK_BYTES) return 0;
    if (hasArrived(state) || roundTripMs > LOOK_ROUND_TRIP_MS) return 0;
    return Math.max(0, this.startMs + roundTripMs + SILENCE_MS - nowMs);
  }

  private rate(state: LinkState): number | undefined {
    const { nowMs, measuredBytesPerMs: measured } = state;
    if (measured === undefined) return this.guess(state);
    if (this.isWaitedFor) {
      this.shown = { bytesPerMs: measured, atMs: nowMs };
      return measured;
    }
    if (this.shown !== undefined && nowMs - this.shown.atMs <= KEEP_MS) {
      return Math.max(this.shown.bytesPerMs, measured);
    }
    return Infinity;
  }

  /** From how little was answered by now. */
  private guess(state: LinkState): number | undefined {
    const { nowMs, sentBytes, acknowledgedBytes, roundTripMs } = state;
    if (this.startMs === undefined) return undefined;
    if (sentBytes >= LOOK_BYTES && hasArrived(state)) return Infinity;
    const elapsedMs = nowMs - this.startMs - roundTripMs;
    if (elapsedMs < SILENCE_MS) return undefined;
    if (hasArrived(state)) return Infinity;
    return Math.max(acknowledgedBytes, UNTOLD_BYTES) / elapsedMs;
  }

  private get isWaitedFor(): boolean {
    return this.waitMs > WAIT_SHARE_MIN * (this.waitMs + this.workMs);
  }
}

/** What arrives about as fast as it is sent was not held up by the link. */
function hasArrived({ sentBytes, acknowledgedBytes }: LinkState): boolean {
  return acknowledgedBytes > sentBytes / 2;
}
