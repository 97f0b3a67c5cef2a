import type { MigrationMode, TimeoutAction } from '../../base/index.ts';
import type { HybridRules } from '../../source/index.ts';
import type { Codec } from './page-costs.ts';

/** The way to the destination. */
export interface PlanLink {
  readonly bytesPerMs: number;
  readonly roundTripMs: number;
}

/** What the user has set; the names of the migration's parameters. */
export interface PlanParameters {
  readonly downtimeLimitMs: number;
  /** 0: none. It does not hold while the guest stands still. */
  readonly maxBandwidthBytesPerSecond: number;
  readonly maxPostcopyBandwidthBytesPerSecond: number;
  readonly availSwitchoverBandwidthBytesPerSecond: number;
  readonly xbzrleCacheBytes: number;
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
  readonly hybrid: HybridRules;
}

/**
 * What this machine needs besides the wire. The defaults were measured with `sterna migrate` on a
 * host of two cores (docs/plan.md).
 */
export interface PlanCosts {
  /** HELLO, the destination's machine, pings. */
  readonly setupMs: number;
  /** Pause, last sync, machine state, records and wake-ups. */
  readonly switchMs: number;
  /** What a page takes from RAM to RAM on a link that is no limit, by codec. */
  readonly encodeMsPerPage: Readonly<Record<Codec, number>>;
  /** The same in post-copy, where frames and window are small. */
  readonly pushMsPerPage: number;
  /** From the access of a vCPU to its going on, besides the round trip. */
  readonly faultMs: number;
}

export const DEFAULT_COSTS: PlanCosts = {
  setupMs: 160,
  switchMs: 10,
  encodeMsPerPage: { raw: 0.005, xbzrle: 0.005, lz4: 0.015 },
  pushMsPerPage: 0.015,
  faultMs: 0.3,
};

/**
 * The link meter takes the highest rate of the last two seconds, and a rate limiter lets up to half
 * as much more through when it was woken late: how far the one sees beyond the other is chance.
 */
export const METER_EXCESSES: readonly number[] = [1, 1.15, 1.3, 1.4, 1.5];

/** One way to migrate. */
export interface PlanCandidate {
  readonly mode: MigrationMode;
  readonly codec: Codec;
}
