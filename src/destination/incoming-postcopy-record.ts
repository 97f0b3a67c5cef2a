import { type BlocktimeInfo, LinkOutages, type PostcopyInfo } from '../base/index.ts';
import type { FaultStatistics, Machine } from '../guestmem/index.ts';
import type { JournalRecord } from './journal/journal-record.ts';

const SPAN_MS = 100;
/** Then two neighbours become one, and spans twice as long. */
const SPANS_MAX = 600;

/** What the destination knows of post-copy, live; QEMU tells it at the end. */
export class IncomingPostcopyRecord {
  requests = 0;
  duplicatePages = 0;
  remainingPages: number;
  readonly outages = new LinkOutages();
  /** What is sent back of the guest's changes. */
  journal: JournalRecord | undefined;
  private readonly machine: Machine;
  private readonly missingPages: number;
  /** Kept when all is over: the machine may leave again, and count anew. */
  private last: FaultStatistics | undefined;
  private brownout: number[] = [];
  private spanMs = SPAN_MS;
  private spanStartMs: number;
  private spanBlockedMs = 0;
  private readonly startMs: number;
  private endMs: number | undefined;

  constructor(machine: Machine, missingPages: number, nowMs: number) {
    this.machine = machine;
    this.missingPages = missingPages;
    this.remainingPages = missingPages;
    this.spanStartMs = nowMs;
    this.startMs = nowMs;
  }

  /** Notes how much of the time since the last span the guest was blocked. */
  sample(nowMs: number): void {
    if (this.last !== undefined || nowMs - this.spanStartMs < this.spanMs) return;
    this.brownout.push(this.blockedShare(nowMs));
    this.spanStartMs = nowMs;
    if (this.brownout.length >= SPANS_MAX) this.coarsen();
  }

  end(nowMs: number): void {
    this.sampleRest(nowMs);
    this.endMs = nowMs;
    this.last = this.machine.faults.statistics();
  }

  info(nowMs: number): PostcopyInfo {
    const { missingPages } = this;
    return {
      missingPages,
      remainingPages: this.remainingPages,
      durationMs: (this.endMs ?? nowMs) - this.startMs,
      requests: this.requests,
      lateRequests: 0,
      duplicatePages: this.duplicatePages,
      waitedShare: missingPages === 0 ? 0 : this.requests / missingPages,
      ...this.outages.info(nowMs),
      waitsForResume: false,
      blocktime: blocktime(this.last ?? this.machine.faults.statistics()),
      brownout: [...this.brownout],
      brownoutSpanMs: this.spanMs,
      journal: this.journal?.info(nowMs),
    };
  }

  /**
   * Most often post-copy ends within a span, and a short one is over before its first: what the
   * guest waited then must not be lost. A rest of less than half a span belongs to the one before,
   * as a moment that was wholly blocked would look like a whole span that was.
   */
  private sampleRest(nowMs: number): void {
    const restMs = nowMs - this.spanStartMs;
    if (restMs <= 0) return;
    const share = this.blockedShare(nowMs);
    const before = this.brownout.at(-1);
    if (before === undefined || restMs >= this.spanMs / 2) {
      this.brownout.push(share);
      return;
    }
    const { spanMs } = this;
    this.brownout[this.brownout.length - 1] =
      (before * spanMs + share * restMs) / (spanMs + restMs);
  }

  /** Of the time since the last span, 0 to 1; the next call counts from here. */
  private blockedShare(nowMs: number): number {
    const { vcpus } = this.machine.faults.statistics();
    const blockedMs = vcpus.reduce((sum, vcpu) => sum + vcpu.blockedMs, 0);
    const possibleMs = (nowMs - this.spanStartMs) * vcpus.length;
    const share = (blockedMs - this.spanBlockedMs) / possibleMs;
    this.spanBlockedMs = blockedMs;
    return Math.min(1, Math.max(0, share));
  }

  private coarsen(): void {
    const { brownout } = this;
    this.brownout = brownout
      .filter((_, index) => index % 2 === 0)
      .map((share, index) => (share + (brownout[2 * index + 1] ?? share)) / 2);
    this.spanMs *= 2;
  }
}

function blocktime(statistics: FaultStatistics): BlocktimeInfo {
  const { vcpus, allBlockedMs, latencyBuckets, latencyP50Ms, latencyP99Ms } = statistics;
  const faults = vcpus.reduce((sum, vcpu) => sum + vcpu.faults, 0);
  const latencyNs = vcpus.reduce((sum, vcpu) => sum + vcpu.faults * vcpu.meanLatencyNs, 0);
  return {
    allBlockedMs,
    vcpuBlockedMs: vcpus.map((vcpu) => vcpu.blockedMs),
    meanLatencyNs: faults === 0 ? 0 : latencyNs / faults,
    vcpuMeanLatencyNs: vcpus.map((vcpu) => vcpu.meanLatencyNs),
    latencyBuckets: [...latencyBuckets],
    latencyP50Ms,
    latencyP99Ms,
  };
}
