import { type MigrationMode, PAGE_BYTES } from '../../base/index.ts';
import {
  byTimeout,
  drainingPays,
  type EndDecision,
  type Policy,
  type PolicyDecision,
  type PolicyPass,
  type PolicyRound,
  withinDeadline,
} from '../../source/index.ts';
import { CacheModel } from './cache-model.ts';
import { PageBits } from './page-bits.ts';
import { ENTRY_BYTES, type PageCosts } from './page-costs.ts';
import type { PlanCandidate, PlanCosts, PlanLink, PlanParameters } from './plan-setup.ts';
import { policyLimitsOf } from './policy-limits.ts';
import { pushPages } from './push-pages.ts';
import type { TraceGuest } from './trace-guest.ts';

export interface SimulationSetup {
  readonly guest: TraceGuest;
  readonly pages: PageCosts;
  readonly ramBlocks: readonly { readonly name: string; readonly bytes: number }[];
  /** Length of an interval of the trace: the unit of a change's lag. */
  readonly intervalMs: number;
  readonly link: PlanLink;
  readonly parameters: PlanParameters;
  readonly costs: PlanCosts;
  readonly policy: Policy;
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

/** A user would have given up before. */
export const ELAPSED_MS_MAX = 120_000;

/** As `source/precopy/precopy.ts` has them. */
const PASS_MS_MIN = 5;
const SWITCH_OVERHEAD_MS = 3;
/** As `source/link-meter.ts` has it. */
const WINDOW_MS = 25;
const WINDOW_BYTES_MIN = 2 ** 20;
const WINDOW_BYTES_MAX = 64 * 2 ** 20;
/** A frame takes about 2 ms of a limited link (`source/page-sender.ts`). */
const FRAME_MS = 2;
const FRAME_BYTES = 36;
const FRAME_PAGES_MIN = 4;
const FRAME_PAGES_MAX = 256;

/** One migration of a recorded guest, pass by pass, with the policy that would really decide. */
export function simulateMigration(setup: SimulationSetup): SimulatedMigration {
  return new Simulation(setup).run();
}

class Simulation {
  private readonly setup: SimulationSetup;
  private readonly dirty: PageBits;
  private readonly cache: CacheModel | undefined;
  private readonly history: PolicyPass[] = [];
  private elapsedMs = 0;
  private guestMs: number;
  private throttlePercent = 0;
  private throttledMs = 0;
  private paceBytesPerMs = 0;
  private wireBytes = 0;
  private inFlightBytes = 0;
  private lastPassMs = 0;
  /** Of a delta as deltas were in the last pass that sent any. */
  private deltaBytes: number | undefined;

  constructor(setup: SimulationSetup) {
    const { guest, candidate, parameters, ramBlocks, startMs } = setup;
    this.setup = setup;
    this.guestMs = startMs;
    this.dirty = new PageBits(guest.pageCount);
    this.dirty.addAll(guest.populated);
    if (candidate.codec === 'xbzrle') {
      this.cache = new CacheModel(ramBlocks, parameters.xbzrleCacheBytes);
    }
  }

  run(): SimulatedMigration {
    const { mode } = this.setup.candidate;
    if (mode === 'stop') return this.stopAndCopy(undefined);
    if (mode === 'postcopy') return this.push(undefined);
    return this.precopy(mode);
  }

  private precopy(mode: MigrationMode): SimulatedMigration {
    const { policy, guest, parameters } = this.setup;
    const limits = policyLimitsOf(mode, parameters);
    const begun = policy.begin?.({ ramPages: guest.populated.count, limits });
    this.paceBytesPerMs = (begun?.bytesPerSecond ?? 0) / 1000;
    let remainingPages = this.dirty.count;
    let passMsMax: number | undefined;
    for (let pass = 1; ; pass += 1) {
      const lastRemainingPages = pass === 1 ? undefined : remainingPages;
      const left = this.cutPass(passMsMax);
      const sent = this.sendPass(pass, remainingPages - (left?.count ?? 0));
      if (left !== undefined) this.dirty.addAll(left);
      let dirtiedPages = this.dirtyFor(sent.durationMs);
      if (pass === 1) this.primeCache();
      const describe = () =>
        this.describe(pass, { ...sent, dirtyPages: remainingPages, dirtiedPages });
      let [round, ended] = describe();
      let decision = this.decide({ ...round, lastRemainingPages, limits });
      if (decision.action === 'stop-and-copy' && drainingPays(round)) {
        const drainMs = this.inFlightBytes / this.drainBytesPerMs + this.setup.link.roundTripMs;
        this.inFlightBytes = 0;
        dirtiedPages += this.dirtyFor(drainMs);
        [round, ended] = describe();
        decision = this.decide({ ...round, lastRemainingPages, limits });
      }
      this.history.push(ended);
      remainingPages = round.remainingPages;
      if (decision.action !== 'iterate') return this.end(decision);
      if (this.elapsedMs > ELAPSED_MS_MAX) return this.ended('endless', 0, decision);
      this.paceBytesPerMs = (decision.bytesPerSecond ?? 0) / 1000;
      passMsMax = decision.passMsMax;
      this.throttlePercent = decision.throttlePercent ?? this.throttlePercent;
    }
  }

  /** A timeout of the user's holds whatever a policy says. */
  private decide(round: PolicyRound): PolicyDecision {
    const decision = this.setup.policy.decide(round);
    const ruled = decision.action === 'iterate' ? byTimeout(round) : undefined;
    return withinDeadline(round, ruled ?? decision);
  }

  private end(decision: EndDecision): SimulatedMigration {
    if (decision.action === 'stop-and-copy') return this.stopAndCopy(decision);
    if (decision.action === 'postcopy') return this.push(decision);
    return this.ended('gave-up', 0, decision);
  }

  /** Of the dirty pages only those stay that go within so long; the others are returned. */
  private cutPass(passMsMax: number | undefined): PageBits | undefined {
    if (passMsMax === undefined) return undefined;
    const pages = Math.floor((passMsMax * this.bytesPerMs) / this.remainingBytesPerPage());
    if (pages >= this.dirty.count) return undefined;
    const left = new PageBits(this.setup.guest.pageCount);
    const sent = new PageBits(this.setup.guest.pageCount);
    let count = 0;
    this.dirty.forEach((pfn) => {
      (count < pages ? sent : left).add(pfn);
      count += 1;
    });
    this.dirty.clear();
    this.dirty.addAll(sent);
    return left;
  }

  /** The marks are taken: what is dirty afterwards became so meanwhile. */
  private sendPass(pass: number, dirtyPages: number) {
    const { wireBytes, encodeMs } = this.costOf(pass, true);
    this.dirty.clear();
    const rate = this.bytesPerMs;
    // What is still under way when the last frame is written takes no time of this pass.
    const isLinkBound = rate >= this.drainBytesPerMs;
    const before = this.inFlightBytes;
    this.inFlightBytes = isLinkBound
      ? Math.min(this.windowBytes, before + wireBytes)
      : Math.min(wireBytes, rate * this.setup.link.roundTripMs);
    const drained = Math.max(0, before + wireBytes - this.inFlightBytes);
    const sendMs = (isLinkBound ? drained : wireBytes) / rate;
    const durationMs = Math.max(PASS_MS_MIN, sendMs, encodeMs);
    // A pass that is waited for lets the link go on.
    const waitedMs = Math.max(0, durationMs - sendMs);
    this.inFlightBytes = Math.max(0, this.inFlightBytes - waitedMs * this.drainBytesPerMs);
    this.wireBytes += wireBytes;
    this.lastPassMs = durationMs;
    return { wireBytes, encodeMs, durationMs, sentPages: dirtyPages };
  }

  /**
   * The first pass keeps the pages that it finds hot, and those that went before any were known:
   * all that were dirtied during it, as far as they fit.
   */
  private primeCache(): void {
    const { cache } = this;
    if (cache !== undefined) this.dirty.forEach((pfn) => void cache.look(pfn, 1));
  }

  /** Bytes on the wire and time of the encoder, of all pages that are dirty now. */
  private costOf(age: number, keep: boolean): { wireBytes: number; encodeMs: number } {
    const { pages, candidate, costs, intervalMs, guest } = this.setup;
    const { encodeMsPerPage } = costs;
    const plain = candidate.codec === 'lz4' ? 'lz4' : 'raw';
    const frameBytes = FRAME_BYTES / this.framePages;
    if (age === 1) {
      const count = this.dirty.count;
      const emptyRuns = Math.ceil(guest.pageCount / 0xffff) * ENTRY_BYTES;
      return {
        wireBytes: count * (pages.contentBytes(plain) + frameBytes) + emptyRuns,
        encodeMs: count * encodeMsPerPage[plain],
      };
    }
    const whole = pages.dirtyBytes(plain) + frameBytes;
    const { cache } = this;
    if (cache === undefined) {
      const count = this.dirty.count;
      return { wireBytes: count * whole, encodeMs: count * encodeMsPerPage[plain] };
    }
    // A page that is sent now was dirtied in the last pass and sent before that.
    const delta = pages.deltaBytes(Math.round(this.lastPassMs / intervalMs)) + frameBytes;
    let [hits, misses] = [0, 0];
    this.dirty.forEach((pfn) => {
      if (keep ? cache.look(pfn, age) : cache.holds(pfn)) hits += 1;
      else misses += 1;
    });
    if (keep && hits > 0) this.deltaBytes = delta;
    return {
      wireBytes: hits * delta + misses * whole,
      encodeMs: hits * encodeMsPerPage.xbzrle + misses * encodeMsPerPage[plain],
    };
  }

  /** As `source/precopy/remaining-cost.ts` has it. */
  private remainingBytesPerPage(): number {
    const { pages, candidate } = this.setup;
    const plain = candidate.codec === 'lz4' ? 'lz4' : 'raw';
    const frameBytes = FRAME_BYTES / this.framePages;
    const whole = pages.dirtyBytes(plain) + frameBytes;
    const { cache, deltaBytes } = this;
    if (cache === undefined || deltaBytes === undefined) return whole;
    let held = 0;
    this.dirty.forEach((pfn) => {
      if (cache.holds(pfn)) held += 1;
    });
    const share = held / Math.max(1, this.dirty.count);
    return share * deltaBytes + (1 - share) * whole;
  }

  /** Lets the guest run for `ms`; returns the pages that were not dirty before. */
  private dirtyFor(ms: number): number {
    const before = this.dirty.count;
    const ranMs = ms * (1 - this.throttlePercent / 100);
    this.setup.guest.dirty(this.guestMs, this.guestMs + ranMs, this.dirty);
    this.guestMs += ranMs;
    this.elapsedMs += ms;
    this.throttledMs += ms - ranMs;
    return this.dirty.count - before;
  }

  private describe(
    pass: number,
    sent: Omit<PolicyPass, 'pass' | 'remainingPages' | 'effectiveBytesPerMs' | 'throttlePercent'>,
  ): [Omit<PolicyRound, 'lastRemainingPages' | 'limits'>, PolicyPass] {
    const { link, guest, parameters } = this.setup;
    const remainingPages = this.dirty.count;
    const pages = Math.max(1, sent.dirtyPages);
    const ended: PolicyPass = {
      ...sent,
      pass,
      remainingPages,
      effectiveBytesPerMs: (sent.sentPages * PAGE_BYTES) / sent.durationMs,
      throttlePercent: this.throttlePercent,
    };
    const assumed = parameters.availSwitchoverBandwidthBytesPerSecond / 1000;
    const round = {
      pass,
      remainingPages,
      inFlightBytes: this.inFlightBytes,
      wireBytesPerPage: this.remainingBytesPerPage(),
      encodeMsPerPage: sent.encodeMs / pages,
      linkBytesPerMs: assumed > 0 ? assumed : this.meteredBytesPerMs,
      windowBytesPerMs: Math.min(this.bytesPerMs, sent.wireBytes / sent.durationMs),
      overheadMs: SWITCH_OVERHEAD_MS + 2 * link.roundTripMs,
      elapsedMs: this.elapsedMs,
      ramPages: guest.populated.count,
      sentBytes: this.wireBytes,
      history: [...this.history, ended],
      throttlePercent: this.throttlePercent,
    };
    return [round, ended];
  }

  /** The rest while the guest stands still; the limit does not hold then. */
  private stopAndCopy(decision: PolicyDecision | undefined): SimulatedMigration {
    const { link, costs } = this.setup;
    const { wireBytes, encodeMs } = this.costOf(this.history.length + 1, false);
    const pagesMs = Math.max((this.inFlightBytes + wireBytes) / link.bytesPerMs, encodeMs);
    this.wireBytes += wireBytes;
    const downtimeMs = costs.switchMs + 2 * link.roundTripMs + pagesMs;
    return this.ended('completed', downtimeMs, decision);
  }

  /** The guest goes first; its dirty pages follow. */
  private push(decision: PolicyDecision | undefined): SimulatedMigration {
    const { link, costs, guest, parameters, pages } = this.setup;
    const limit = parameters.maxPostcopyBandwidthBytesPerSecond / 1000;
    const isFirst = this.history.length === 0;
    const pushed = pushPages({
      guest,
      missing: this.dirty,
      bytesPerPage: isFirst ? pages.contentBytes('raw') : pages.dirtyBytes('raw'),
      pageMs: costs.pushMsPerPage,
      bytesPerMs: limit > 0 ? Math.min(limit, link.bytesPerMs) : link.bytesPerMs,
      roundTripMs: link.roundTripMs,
      faultMs: costs.faultMs,
      guestMs: this.guestMs,
    });
    // The map of missing pages: a bit each, or less in runs.
    const downtimeMs =
      costs.switchMs +
      2 * link.roundTripMs +
      (this.inFlightBytes + pushed.mapBytes) / link.bytesPerMs;
    this.wireBytes += pushed.wireBytes + pushed.mapBytes;
    this.elapsedMs += pushed.durationMs;
    this.throttledMs += pushed.blockedMs;
    return this.ended('completed', downtimeMs, decision);
  }

  private ended(
    outcome: SimulatedMigration['outcome'],
    downtimeMs: number,
    decision: PolicyDecision | undefined,
  ): SimulatedMigration {
    const { elapsedMs, wireBytes, throttledMs, history: passes } = this;
    return {
      outcome,
      totalMs: this.setup.costs.setupMs + elapsedMs + downtimeMs,
      downtimeMs,
      wireBytes,
      slowdown: elapsedMs > 0 ? Math.min(1, throttledMs / elapsedMs) : 0,
      passes,
      decision,
    };
  }

  /** At which frames are written. */
  private get bytesPerMs(): number {
    const limit = this.setup.parameters.maxBandwidthBytesPerSecond / 1000;
    const rates = [this.drainBytesPerMs, limit, this.paceBytesPerMs].filter((rate) => rate > 0);
    return Math.min(...rates);
  }

  private get meteredBytesPerMs(): number {
    return Math.min(this.drainBytesPerMs, this.bytesPerMs * this.setup.meterExcess);
  }

  private get drainBytesPerMs(): number {
    return this.setup.link.bytesPerMs;
  }

  private get windowBytes(): number {
    const bytes = this.drainBytesPerMs * (2 * this.setup.link.roundTripMs + WINDOW_MS);
    return Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, bytes));
  }

  private get framePages(): number {
    const pages = Math.floor((this.bytesPerMs * FRAME_MS) / PAGE_BYTES);
    return Math.min(FRAME_PAGES_MAX, Math.max(FRAME_PAGES_MIN, pages));
  }
}
