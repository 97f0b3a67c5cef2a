import { type MigrationMode, PAGE_BYTES } from '../../base/index.ts';
import type { RamBlockDescription } from '../../guestmem/index.ts';
import {
  drainingPays,
  type EndDecision,
  guestSpeed,
  type PolicyDecision,
  type PolicyPass,
  type PolicyRound,
} from '../../source/index.ts';
import type { AskedPolicy } from './model/asked-policy.ts';
import { EncoderModel } from './model/encoder-model.ts';
import { LinkModel } from './model/link-model.ts';
import { PageBits } from './model/page-bits.ts';
import { ENTRY_BYTES, type PageCosts } from './model/page-costs.ts';
import { policyLimitsOf } from './model/policy-limits.ts';
import { pushPages } from './model/push-pages.ts';
import { PassSender } from './model/simulated-pass.ts';
import type { TraceGuest } from './model/trace-guest.ts';
import { VcpuLimitModel } from './model/vcpu-limit-model.ts';
import {
  type PlanCandidate,
  type PlanCosts,
  type PlanLink,
  type PlanParameters,
  usesDeltas,
} from './plan-setup.ts';

export interface SimulationSetup {
  readonly guest: TraceGuest;
  readonly pages: PageCosts;
  readonly ramBlocks: readonly RamBlockDescription[];
  readonly vcpuCount: number;
  /** Length of an interval of the trace: the unit of a change's lag. */
  readonly intervalMs: number;
  readonly link: PlanLink;
  readonly parameters: PlanParameters;
  readonly costs: PlanCosts;
  readonly policy: AskedPolicy;
  readonly candidate: PlanCandidate;
  /** What the link meter tells of a limited link, as a multiple of the limit. */
  readonly meterExcess: number;
  /** Where in the trace the migration begins. */
  readonly startMs: number;
}

export interface SimulatedMigration {
  /** `endless`: it had not ended after ELAPSED_MS_MAX; its figures are those of that moment. */
  readonly outcome: 'completed' | 'gave-up' | 'endless';
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly wireBytes: number;
  /** Share of its speed that the guest loses on the average while it migrates, 0 to 1. */
  readonly slowdown: number;
  readonly passes: readonly PolicyPass[];
  /** What was decided at the end; undefined where nothing is decided (`stop`, `postcopy`). */
  readonly decision: PolicyDecision | undefined;
}

/** A user would have given up before; and a guest whose RAM was sent so many times in vain, too. */
const ELAPSED_MS_MAX = 120_000;
const SENT_TIMES_MAX = 8;
const PASSES_MAX = 1000;
const TRACE_TIMES = 2;

/** As `source/precopy/precopy.ts` and `source/precopy/rounds.ts` have them. */
const SWITCH_OVERHEAD_MS = 3;
const HISTORY_MAX = 1000;
const EMPTY_RUN_PAGES = 0xffff;

/** One migration of a recorded guest, pass by pass, with the policy that would really decide. */
export function simulateMigration(setup: SimulationSetup): Promise<SimulatedMigration> {
  return new Simulation(setup).run();
}

class Simulation {
  private readonly setup: SimulationSetup;
  private readonly dirty: PageBits;
  private readonly encoder: EncoderModel;
  private readonly link: LinkModel;
  private readonly sender: PassSender;
  private readonly vcpuLimits: VcpuLimitModel | undefined;
  /** The newest passes. */
  private readonly history: PolicyPass[] = [];
  private passCount = 0;
  private elapsedMs = 0;
  private guestMs: number;
  private throttlePercent = 0;
  private slowedMs = 0;
  private wireBytes = 0;
  private lastPassMs = 0;
  /** As it was when the throttle was last changed. */
  private steady = { passes: 0, elapsedMs: 0, wireBytes: 0 };

  constructor(setup: SimulationSetup) {
    const { guest, candidate, parameters, startMs, pages, costs, ramBlocks } = setup;
    this.setup = setup;
    this.guestMs = startMs;
    this.dirty = new PageBits(guest.pageCount);
    this.dirty.addAll(guest.populated);
    const { codec, slowing, xbzrleCacheBytes = parameters.xbzrleCacheBytes } = candidate;
    this.encoder = new EncoderModel({ codec, pages, costs, ramBlocks, xbzrleCacheBytes });
    const { maxBandwidthBytesPerSecond } = parameters;
    this.link = new LinkModel(setup.link, maxBandwidthBytesPerSecond, setup.meterExcess);
    this.sender = new PassSender(guest.pageCount, this.dirty, this.encoder, this.link);
    if (slowing === 'dirty-limit') {
      this.vcpuLimits = new VcpuLimitModel(parameters, setup.vcpuCount);
    }
  }

  async run(): Promise<SimulatedMigration> {
    const { mode } = this.setup.candidate;
    if (mode === 'stop') return this.stopAndCopy(undefined);
    if (mode === 'postcopy') return this.push(undefined);
    return this.precopy(mode);
  }

  private async precopy(mode: MigrationMode): Promise<SimulatedMigration> {
    const { policy, guest, parameters, candidate } = this.setup;
    const limits = policyLimitsOf(mode, candidate.slowing ?? 'none', parameters);
    const begun = await policy.begin({ ramPages: guest.populated.count, limits });
    this.link.paceBytesPerMs = (begun.bytesPerSecond ?? 0) / 1000;
    let remainingPages = this.dirty.count;
    let passMsMax: number | undefined;
    for (let pass = 1; ; pass += 1) {
      const lastRemainingPages = pass === 1 ? undefined : remainingPages;
      const passThrottle = this.throttlePercent;
      const { writtenPages, ...sent } = this.sendPass(pass, passMsMax);
      let dirtiedPages = writtenPages;
      const describe = (): PolicyRound => {
        const ended = { ...sent, pass, dirtyPages: remainingPages, dirtiedPages };
        return { ...this.describe(ended, passThrottle), lastRemainingPages, limits };
      };
      let round = describe();
      let decision = await policy.decide(round);
      if (decision.action === 'stop-and-copy' && drainingPays(round)) {
        dirtiedPages += this.letRun(this.link.drain());
        round = describe();
        decision = await policy.decide(round);
      }
      this.passCount = pass;
      this.history.push(round.history.at(-1) as PolicyPass);
      if (this.history.length > HISTORY_MAX) this.history.shift();
      remainingPages = round.remainingPages;
      if (decision.action !== 'iterate') return this.end(decision);
      if (this.isInVain) {
        if (limits.timeoutMs === 0) return this.ended('endless', 0, decision);
        this.skipTo(limits.timeoutMs);
      }
      this.link.paceBytesPerMs = (decision.bytesPerSecond ?? 0) / 1000;
      passMsMax = decision.passMsMax;
      this.throttle(
        this.vcpuLimits?.next(round) ?? decision.throttlePercent ?? this.throttlePercent,
      );
    }
  }

  private throttle(percent: number): void {
    if (percent === this.throttlePercent) return;
    const { passCount: passes, elapsedMs, wireBytes } = this;
    this.throttlePercent = percent;
    this.steady = { passes, elapsedMs, wireBytes };
  }

  /** It would go on like that: a guest that is slowed further from time to time does not. */
  private get isInVain(): boolean {
    const { steady } = this;
    const { guest } = this.setup;
    const sentPages = (this.wireBytes - steady.wireBytes) / PAGE_BYTES;
    const spanMs = this.elapsedMs - steady.elapsedMs;
    // Short passes that leave too much, and nothing will come that has not come.
    const isOften =
      this.passCount - steady.passes >= PASSES_MAX && spanMs > TRACE_TIMES * guest.spanMs;
    const isMuch = sentPages > SENT_TIMES_MAX * guest.populated.count;
    return isOften || isMuch || this.elapsedMs > ELAPSED_MS_MAX;
  }

  /** A timeout of the user's ends it then, and until then all goes on as it went. */
  private skipTo(timeoutMs: number): void {
    const times = Math.max(1, timeoutMs / this.elapsedMs);
    this.elapsedMs *= times;
    this.wireBytes *= times;
    this.slowedMs *= times;
  }

  private end(decision: EndDecision): SimulatedMigration {
    if (decision.action === 'stop-and-copy') return this.stopAndCopy(decision);
    if (decision.action === 'postcopy') return this.push(decision);
    return this.ended('gave-up', 0, decision);
  }

  private sendPass(pass: number, msMax: number | undefined) {
    const { guest, parameters, candidate } = this.setup;
    this.encoder.beginPass(pass, this.lag, this.link);
    const byWeight = parameters.reorder;
    // The first one with deltas learns which pages are hot, whatever the order.
    const syncs = byWeight || (usesDeltas(candidate.codec) && pass === 1);
    const firstBytes = pass === 1 ? Math.ceil(guest.pageCount / EMPTY_RUN_PAGES) * ENTRY_BYTES : 0;
    const sent = this.sender.send({ byWeight, syncs, msMax }, firstBytes, (ms, into) => {
      this.runGuest(ms, into);
    });
    if (pass === 1) this.encoder.prime(this.sender.writtenInPass);
    this.wireBytes += sent.wireBytes;
    this.lastPassMs = sent.durationMs;
    return sent;
  }

  /** A page that is sent now was dirtied in the last pass and sent before that. */
  private get lag(): number {
    return Math.round(this.lastPassMs / this.setup.intervalMs);
  }

  /** Lets the guest run for `ms`; returns the pages that were not dirty before. */
  private letRun(ms: number): number {
    const before = this.dirty.count;
    this.runGuest(ms, this.dirty);
    return this.dirty.count - before;
  }

  private runGuest(ms: number, into: PageBits): void {
    const { guest } = this.setup;
    const ranMs = ms * guestSpeed(this.throttlePercent, guest.busyShare);
    guest.dirty(this.guestMs, this.guestMs + ranMs, into);
    this.guestMs += ranMs;
    this.elapsedMs += ms;
    this.slowedMs += ms - ranMs;
  }

  private describe(
    sent: Omit<
      PolicyPass,
      'remainingPages' | 'effectiveBytesPerMs' | 'busyShare' | 'throttlePercent'
    >,
    passThrottle: number,
  ): Omit<PolicyRound, 'lastRemainingPages' | 'limits'> {
    const { link, guest, parameters } = this.setup;
    const remainingPages = this.dirty.count;
    const pages = Math.max(1, sent.dirtyPages);
    const ended: PolicyPass = {
      ...sent,
      remainingPages,
      effectiveBytesPerMs: (sent.sentPages * PAGE_BYTES) / sent.durationMs,
      busyShare: Math.min(guest.busyShare, 1 - passThrottle / 100),
      throttlePercent: passThrottle,
    };
    const assumed = parameters.availSwitchoverBandwidthBytesPerSecond / 1000;
    return {
      pass: sent.pass,
      remainingPages,
      inFlightBytes: this.link.inFlightBytes,
      wireBytesPerPage:
        sent.pass === 1
          ? this.encoder.firstGuessBytes(this.link)
          : this.costOfRest().wireBytes / Math.max(1, remainingPages),
      encodeMsPerPage: sent.encodeMs / pages,
      linkBytesPerMs: assumed > 0 ? assumed : this.link.meteredBytesPerMs,
      windowBytesPerMs: Math.min(this.link.bytesPerMs, sent.wireBytes / sent.durationMs),
      overheadMs: SWITCH_OVERHEAD_MS + 2 * link.roundTripMs,
      elapsedMs: this.elapsedMs,
      ramPages: guest.populated.count,
      sentBytes: this.wireBytes,
      history: [...this.history, ended],
      throttlePercent: this.throttlePercent,
    };
  }

  /** What all that is dirty takes; the cache stays as it is. */
  private costOfRest(): { readonly wireBytes: number; readonly encodeMs: number } {
    this.encoder.beginPass(this.passCount + 1, this.lag, this.link);
    let [wireBytes, encodeMs] = [0, 0];
    this.dirty.forEach((pfn) => {
      const cost = this.encoder.costOf(pfn, false);
      wireBytes += cost.wireBytes;
      encodeMs += cost.encodeMs;
    });
    return { wireBytes, encodeMs };
  }

  /** The rest while the guest stands still; the limit does not hold then. */
  private stopAndCopy(decision: PolicyDecision | undefined): SimulatedMigration {
    const { link, costs } = this.setup;
    const { wireBytes, encodeMs } = this.costOfRest();
    const pagesMs = Math.max((this.link.inFlightBytes + wireBytes) / link.bytesPerMs, encodeMs);
    this.wireBytes += wireBytes;
    const downtimeMs = costs.switchMs + 2 * link.roundTripMs + pagesMs;
    return this.ended('completed', downtimeMs, decision);
  }

  /** The guest goes first; its dirty pages follow. */
  private push(decision: PolicyDecision | undefined): SimulatedMigration {
    const { link, costs, guest, parameters } = this.setup;
    const limit = parameters.maxPostcopyBandwidthBytesPerSecond / 1000;
    const pages = this.dirty.count;
    const { wireBytes, encodeMs } = this.costOfRest();
    const pushed = pushPages({
      guest,
      missing: this.dirty,
      bytesPerPage: pages === 0 ? 0 : wireBytes / pages,
      pageMs: Math.max(costs.pushMsPerPage, pages === 0 ? 0 : encodeMs / pages),
      bytesPerMs: limit > 0 ? Math.min(limit, link.bytesPerMs) : link.bytesPerMs,
      roundTripMs: link.roundTripMs,
      faultMs: costs.faultMs,
      guestMs: this.guestMs,
    });
    // The map of missing pages: a bit each, or less in runs.
    const downtimeMs =
      costs.switchMs +
      2 * link.roundTripMs +
      (this.link.inFlightBytes + pushed.mapBytes) / link.bytesPerMs;
    this.wireBytes += pushed.wireBytes + pushed.mapBytes;
    this.elapsedMs += pushed.durationMs;
    this.slowedMs += pushed.blockedMs;
    return this.ended('completed', downtimeMs, decision);
  }

  private ended(
    outcome: SimulatedMigration['outcome'],
    downtimeMs: number,
    decision: PolicyDecision | undefined,
  ): SimulatedMigration {
    const { elapsedMs, wireBytes, slowedMs, history: passes } = this;
    return {
      outcome,
      totalMs: this.setup.costs.setupMs + elapsedMs + downtimeMs,
      downtimeMs,
      wireBytes,
      slowdown: elapsedMs > 0 ? Math.min(1, slowedMs / elapsedMs) : 0,
      passes,
      decision,
    };
  }
}
