import { PAGE_BYTES } from '../../base/index.ts';
import { BusyMeter } from '../../guestmem/index.ts';
import { handledPages, type PageTotals } from '../counters.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { PolicyLimits, PolicyPass, PolicyRound } from '../policy/policy.ts';
import type { GuestThrottle } from './guest-throttle.ts';
import { RemainingCost } from './remaining-cost.ts';

/**
 * A guess of pause, state, records and wake-ups before anything was measured; two round trips come
 * on top.
 */
const SWITCH_OVERHEAD_MS = 3;
/** A policy is told of so many passes; of a migration that never ends, the newest ones. */
const HISTORY_MAX = 1000;
/** QEMU's window of bandwidth is 100 ms: two samples of the past. */
const SAMPLE_MS = 50;
const SAMPLES = 3;

interface Sample {
  readonly atMs: number;
  readonly sentBytes: number;
}

/** What a policy is told after each pass, gathered from those who know. */
export class Rounds {
  private readonly context: OutgoingContext;
  private readonly throttle: GuestThrottle;
  private readonly startMs: number;
  private readonly finished: PolicyPass[] = [];
  private readonly samples: Sample[] = [];
  private readonly cost = new RemainingCost();
  private readonly busy: BusyMeter;
  private readonly stopSampling: () => void;
  private lastRemainingPages: number | undefined;
  /** In force when the pass began. */
  private passThrottle = 0;

  constructor(context: OutgoingContext, throttle: GuestThrottle) {
    const { clock } = context;
    this.context = context;
    this.throttle = throttle;
    this.startMs = clock.nowMs();
    this.busy = new BusyMeter(context.machine, this.startMs);
    this.sample();
    this.stopSampling = clock.every(SAMPLE_MS, () => this.sample());
  }

  beginPass(): void {
    this.passThrottle = this.throttle.percent;
    this.busy.restart(this.context.clock.nowMs());
  }

  /** The round at this moment, with the pass that is ending now as the last of its history. */
  describe(pass: number, totals: PageTotals, dirtiedPages: number): PolicyRound {
    const { record, frames, meter, parameters, clock, sentBytes, machine } = this.context;
    const { blocks, populatedPages } = machine.memory;
    const { xbzrle } = this.context.capabilities;
    const assumed = parameters.availSwitchoverBandwidthBytesPerSecond / 1000;
    const ending = this.passOf(pass, totals, dirtiedPages);
    return {
      pass,
      remainingPages: record.remainingPages,
      lastRemainingPages: this.lastRemainingPages,
      inFlightBytes: frames.inFlightBytes,
      wireBytesPerPage: this.cost.bytesPerPage(totals, pass === 1, blocks, xbzrle),
      encodeMsPerPage: totals.encodeMs / Math.max(1, this.encodedPages(pass, totals)),
      linkBytesPerMs: assumed > 0 ? assumed : meter.bytesPerMs,
      windowBytesPerMs: this.windowBytesPerMs(),
      overheadMs: SWITCH_OVERHEAD_MS + 2 * meter.roundTripMs,
      elapsedMs: clock.nowMs() - this.startMs,
      ramPages: populatedPages,
      sentBytes: sentBytes(),
      history: [...this.finished, ending],
      throttlePercent: this.throttle.percent,
      limits: policyLimits(this.context),
    };
  }

  /** The policy has decided about this round. */
  endPass({ history, remainingPages }: PolicyRound): void {
    const ended = history.at(-1);
    if (ended !== undefined) this.finished.push(ended);
    if (this.finished.length > HISTORY_MAX) this.finished.shift();
    this.lastRemainingPages = remainingPages;
  }

  close(): void {
    this.stopSampling();
  }

  /** Not the pages that never held anything: the first pass tells of them in a few bytes. */
  private encodedPages(pass: number, totals: PageTotals): number {
    const dirtyPages = this.context.record.currentPass?.dirtyPages ?? 0;
    return pass === 1 ? dirtyPages : handledPages(totals);
  }

  private passOf(pass: number, totals: PageTotals, dirtiedPages: number): PolicyPass {
    const { record, clock } = this.context;
    const current = record.currentPass;
    const durationMs = clock.nowMs() - (current?.startMs ?? clock.nowMs());
    const sentPages = handledPages(totals);
    return {
      pass,
      dirtyPages: current?.dirtyPages ?? 0,
      sentPages,
      wireBytes: totals.wireBytes,
      durationMs,
      dirtiedPages,
      remainingPages: record.remainingPages,
      effectiveBytesPerMs: durationMs > 0 ? (sentPages * PAGE_BYTES) / durationMs : 0,
      encodeMs: totals.encodeMs,
      busyShare: this.busy.share(clock.nowMs()),
      throttlePercent: this.passThrottle,
    };
  }

  private sample(): void {
    const { clock, sentBytes } = this.context;
    this.samples.push({ atMs: clock.nowMs(), sentBytes: sentBytes() });
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  private windowBytesPerMs(): number | undefined {
    const { clock, sentBytes } = this.context;
    const [oldest] = this.samples;
    const spanMs = clock.nowMs() - (oldest?.atMs ?? clock.nowMs());
    if (oldest === undefined || spanMs <= 0) return undefined;
    return (sentBytes() - oldest.sentBytes) / spanMs;
  }
}

/** What the user wants and allows now. */
export function policyLimits({ parameters, capabilities }: OutgoingContext): PolicyLimits {
  const { mode, postcopyAfterPasses, postcopyPlateau, timeoutAction } = parameters;
  const hybrid = { afterPasses: postcopyAfterPasses, plateau: postcopyPlateau === 'on' };
  const { cpuThrottleInitialPercent: initialPercent, maxCpuThrottlePercent } = parameters;
  const autoConverge = {
    initialPercent,
    incrementPercent: parameters.cpuThrottleIncrementPercent,
    maxPercent: Math.max(initialPercent, maxCpuThrottlePercent),
    triggerPercent: parameters.throttleTriggerPercent,
    tailslow: parameters.cpuThrottleTailslow,
  };
  return {
    downtimeLimitMs: parameters.downtimeLimitMs,
    timeoutMs: parameters.timeoutMs,
    timeoutAction,
    maxBandwidthBytesPerSecond: parameters.maxBandwidthBytesPerSecond,
    maxPostcopyBandwidthBytesPerSecond: parameters.maxPostcopyBandwidthBytesPerSecond,
    availSwitchoverBandwidthBytesPerSecond: parameters.availSwitchoverBandwidthBytesPerSecond,
    hybrid: mode === 'hybrid' ? hybrid : undefined,
    autoConverge: capabilities['auto-converge'] ? autoConverge : undefined,
    allows: {
      throttle: capabilities['auto-converge'],
      postcopy: capabilities['postcopy-ram'],
      suspend: timeoutAction === 'suspend',
      cancel: timeoutAction === 'cancel',
    },
  };
}
