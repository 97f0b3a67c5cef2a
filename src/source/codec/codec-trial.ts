/**
 * Whether LZ4 keeps its promise. `chooseCodec` goes by what encoder and link need, each by itself;
 * what they take from each other, and what the peer needs to decode, only the whole can show: how
 * much of the guest arrives in a millisecond, with it and just before without it.
 */
export interface TrialState {
  readonly nowMs: number;
  readonly acknowledgedBytes: number;
}

/** Short enough to matter soon, and longer than what is under way needs. */
const SPAN_MS = 40;
/** A rate without LZ4 says nothing of a guest and a host that have changed since. */
const PLAIN_KEEP_MS = 5000;
/** Where there is none, it is off for about two spans to find one, and no longer than this. */
const PLAIN_LOOK_MS = 250;
/** How long it is off when it did not help: longer each time. */
const REST_MS_MIN = 250;
const REST_MS_MAX = 8000;

interface Span {
  readonly isOn: boolean;
  /** What was under way when it was switched still counts as it was sent. */
  readonly isSettled: boolean;
  readonly startMs: number;
  readonly startBytes: number;
  before: number;
  after: number;
}

export class CodecTrial {
  private span: Span | undefined;
  /** Guest bytes a millisecond, lately. */
  private compressedBytesPerMs: number | undefined;
  private isLooking = false;
  private plain: { readonly bytesPerMs: number; readonly atMs: number } | undefined;
  private restUntilMs = Number.NEGATIVE_INFINITY;
  private restMs = REST_MS_MIN;

  /** A body that was so long, and is so long now. */
  made(bytesBefore: number, bytesAfter: number): void {
    if (this.span === undefined) return;
    this.span.before += bytesBefore;
    this.span.after += bytesAfter;
  }

  /**
   * Before each frame. False: it did not help lately, or what there is without it is looked at.
   * `isFree`: the link leaves the encoder so much time that nothing has to be found out.
   */
  allows(state: TrialState, isOn: boolean, isFree: boolean): boolean {
    const { span } = this;
    if (span === undefined || span.isOn !== isOn) this.begin(state, isOn, false);
    else if (state.nowMs - span.startMs >= SPAN_MS) {
      this.judge(span, state, isFree);
      this.begin(state, isOn, true);
    }
    return state.nowMs >= this.restUntilMs;
  }

  private judge(span: Span, { nowMs, acknowledgedBytes }: TrialState, isFree: boolean): void {
    if (!span.isSettled || span.after === 0) return;
    const wireBytes = acknowledgedBytes - span.startBytes;
    const bytesPerMs = ((wireBytes / (nowMs - span.startMs)) * span.before) / span.after;
    if (span.isOn) {
      this.compressedBytesPerMs = bytesPerMs;
      if (this.plain !== undefined && nowMs - this.plain.atMs <= PLAIN_KEEP_MS) this.compare(nowMs);
      else if (!isFree) this.look(nowMs);
      return;
    }
    this.plain = { bytesPerMs, atMs: nowMs };
    if (!this.isLooking) return;
    this.isLooking = false;
    this.restUntilMs = nowMs;
    this.compare(nowMs);
  }

  private look(nowMs: number): void {
    this.isLooking = true;
    this.restUntilMs = nowMs + PLAIN_LOOK_MS;
  }

  private compare(nowMs: number): void {
    const { plain, compressedBytesPerMs } = this;
    if (plain === undefined || compressedBytesPerMs === undefined) return;
    if (compressedBytesPerMs >= plain.bytesPerMs) {
      this.restMs = REST_MS_MIN;
      return;
    }
    this.restUntilMs = nowMs + this.restMs;
    this.restMs = Math.min(REST_MS_MAX, this.restMs * 2);
  }

  private begin({ nowMs, acknowledgedBytes }: TrialState, isOn: boolean, isSettled: boolean): void {
    const startBytes = acknowledgedBytes;
    this.span = { isOn, isSettled, startMs: nowMs, startBytes, before: 0, after: 0 };
  }
}
