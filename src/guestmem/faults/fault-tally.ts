import { type ControlBlock, LATENCY_STEPS } from '../control-block.ts';
import {
  LATENCY_STEP_COUNT,
  latencyBuckets,
  latencyQuantileMs,
  latencyStep,
} from './latency-steps.ts';
import type { FaultStatistics } from './page-faults.ts';

const FAULT_COUNT = 0;
const BLOCKED_MS = 1;
const WAIT_START_MS = 2;
/** Of `blockedWords`. */
const ALL_BLOCKED = 0;
const ALL_BLOCKED_NS = 1;
const COUNT_BITS = 8n;

/**
 * What missing pages cost, in the control block. A vCPU writes its own numbers; what belongs to all
 * is changed by atomics alone:
 *
 *   all blocked: vCPUs that wait now, and above these 8 bits the host time in nanoseconds, plus 1,
 *   since which all of them do (0: not all do)
 *
 * Count and time are one word, so that the vCPU that ends such a stretch knows when it began: with
 * two words it could read the beginning of the stretch before.
 */
export class FaultTally {
  private readonly block: ControlBlock;
  /** For each vCPU, a fault that was interrupted, and how long it has taken so far. */
  private readonly unfinished: ({ readonly page: number; readonly ms: number } | undefined)[] = [];
  /** For each vCPU, the fault that it is about. */
  private readonly current: { readonly page: number; readonly earlierMs: number }[] = [];

  constructor(block: ControlBlock) {
    this.block = block;
  }

  /** Nothing has happened yet. Only while no vCPU runs. */
  reset(): void {
    const { block } = this;
    this.unfinished.length = 0;
    for (let vcpu = 0; vcpu < block.vcpuCount; vcpu += 1) block.faultTimes(vcpu).fill(0);
    // No vCPU runs: no calls pair with these; resume() publishes them.
    for (const word of [ALL_BLOCKED, ALL_BLOCKED_NS]) Atomics.store(block.blockedWords, word, 0n);
    block.words.fill(0, LATENCY_STEPS, LATENCY_STEPS + LATENCY_STEP_COUNT);
  }

  /** A vCPU stops for a page of the guest. Called where the vCPU runs, as `end` is. */
  begin(vcpu: number, page: number, nowMs: number): void {
    const times = this.block.faultTimes(vcpu);
    const unfinished = this.unfinished[vcpu];
    const goesOn = unfinished?.page === page;
    if (!goesOn) times[FAULT_COUNT] = (times[FAULT_COUNT] ?? 0) + 1;
    // Otherwise its page came while the vCPU was elsewhere.
    if (unfinished !== undefined && !goesOn) this.count(unfinished.ms);
    this.unfinished[vcpu] = undefined;
    this.current[vcpu] = { page, earlierMs: goesOn ? unfinished.ms : 0 };
    times[WAIT_START_MS] = nowMs + 1;
    this.changeAllBlocked((count) => {
      const next = count + 1n;
      const sinceNs = next === BigInt(this.block.vcpuCount) ? nanoseconds(nowMs) + 1n : 0n;
      return (sinceNs << COUNT_BITS) | next;
    });
  }

  /** It goes on (`arrived`), or was interrupted. Returns how long it was blocked. */
  end(vcpu: number, nowMs: number, arrived: boolean): number {
    const times = this.block.faultTimes(vcpu);
    const blockedMs = nowMs + 1 - (times[WAIT_START_MS] ?? 0);
    times[BLOCKED_MS] = (times[BLOCKED_MS] ?? 0) + blockedMs;
    times[WAIT_START_MS] = 0;
    const before = this.changeAllBlocked((count) => count - 1n);
    const sinceNs = before >> COUNT_BITS;
    if (sinceNs > 0n) {
      // Pairs with the load in read().
      Atomics.add(this.block.blockedWords, ALL_BLOCKED_NS, nanoseconds(nowMs) + 1n - sinceNs);
    }
    const { page, earlierMs } = this.current[vcpu] ?? { page: 0, earlierMs: 0 };
    if (arrived) this.count(earlierMs + blockedMs);
    else this.unfinished[vcpu] = { page, ms: earlierMs + blockedMs };
    return blockedMs;
  }

  /** As of now; waits that are going on are in it. */
  read(nowMs: number): FaultStatistics {
    const { block } = this;
    const vcpus = Array.from({ length: block.vcpuCount }, (_, vcpu) => {
      const [faults = 0, pastMs = 0, startMs = 0] = block.faultTimes(vcpu);
      const blockedMs = pastMs + (startMs > 0 ? Math.max(0, nowMs + 1 - startMs) : 0);
      return { faults, blockedMs, meanLatencyNs: faults > 0 ? (blockedMs * 1e6) / faults : 0 };
    });
    // Pairs with the add in end() and the compare-exchange in changeAllBlocked().
    const pastNs = Atomics.load(block.blockedWords, ALL_BLOCKED_NS);
    const sinceNs = Atomics.load(block.blockedWords, ALL_BLOCKED) >> COUNT_BITS;
    const nowNs = nanoseconds(nowMs) + 1n;
    const allBlockedNs = pastNs + (sinceNs > 0n && nowNs > sinceNs ? nowNs - sinceNs : 0n);
    const steps = Array.from({ length: LATENCY_STEP_COUNT }, (_, step) =>
      // Pairs with the add in count().
      Atomics.load(block.words, LATENCY_STEPS + step),
    );
    return {
      vcpus,
      allBlockedMs: Number(allBlockedNs) / 1e6,
      latencyBuckets: latencyBuckets(steps),
      latencyP50Ms: latencyQuantileMs(steps, 0.5),
      latencyP99Ms: latencyQuantileMs(steps, 0.99),
    };
  }

  /** A page was there after `latencyMs`, all its waits together. */
  private count(latencyMs: number): void {
    // Pairs with the load in read().
    Atomics.add(this.block.words, LATENCY_STEPS + latencyStep(latencyMs), 1);
  }

  /** Returns the word as it was. */
  private changeAllBlocked(next: (count: bigint) => bigint): bigint {
    const words = this.block.blockedWords;
    for (;;) {
      // Pairs with the compare-exchange of other vCPUs: one of two wins, the other tries again.
      const before = Atomics.load(words, ALL_BLOCKED);
      const after = next(before & ((1n << COUNT_BITS) - 1n));
      if (Atomics.compareExchange(words, ALL_BLOCKED, before, after) === before) return before;
    }
  }
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}
