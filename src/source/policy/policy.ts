import type { CapabilityName, TimeoutAction } from '../../base/index.ts';

/**
 * What decides, after each pass, how a migration goes on. A policy is a pure function: no clock, no
 * I/O, no state of its own (what it must remember is in `history`), plain data in and out. So the
 * engine, a table in a test, the simulator with a recorded trace, and a worker with a user's file
 * run the very same code.
 */
export interface Policy {
  /** As the user names it. */
  readonly name: string;
  /** Capabilities without which it makes no sense: switched on with it, and that is told. */
  readonly needs?: readonly CapabilityName[];
  /** Asked once, before the first pass. */
  begin?(start: PolicyStart): PolicyBegin;
  /** Asked after the bitmap sync at the end of each pass. */
  decide(round: PolicyRound): PolicyDecision;
}

export interface PolicyStart {
  /** Pages that ever held something: what the first pass will send. */
  readonly ramPages: number;
  readonly limits: PolicyLimits;
}

/** Below this a pace would only look like a link that is gone. */
export const PACE_BYTES_PER_SECOND_MIN = 4096;

export interface PolicyBegin {
  /** Of the first pass; absent or 0: the user's limit alone. */
  readonly bytesPerSecond?: number;
}

/**
 * What is known after the bitmap sync at the end of a pass. All of the remaining pages is in
 * *effective* terms: what they will take on the wire as they were encoded lately.
 */
export interface PolicyRound {
  /** The pass that ended, from 1. */
  readonly pass: number;
  /** Dirty after the sync. */
  readonly remainingPages: number;
  /** Dirty after the sync before this one; undefined in the first round. */
  readonly lastRemainingPages: number | undefined;
  /** Unacknowledged bytes that the last pages will queue behind. */
  readonly inFlightBytes: number;
  /** Of those that remain, as they will be encoded; table entries included. */
  readonly wireBytesPerPage: number;
  /** Mean time that the encoder took for a page of the last pass. */
  readonly encodeMsPerPage: number;
  /** What the link can do (or is to be assumed to do). Undefined while nothing was measured. */
  readonly linkBytesPerMs: number | undefined;
  /**
   * What went out in the last 100 ms or so, whatever held it back; QEMU calls this the bandwidth.
   * Undefined before anything was sent.
   */
  readonly windowBytesPerMs: number | undefined;
  /** Pause, machine state, round trips and records: what a switch costs without pages. */
  readonly overheadMs: number;
  /** Of pre-copy so far. */
  readonly elapsedMs: number;
  /** Pages that ever held something. */
  readonly ramPages: number;
  /** On the wire so far, all connections. */
  readonly sentBytes: number;
  /** Finished passes, oldest first; the last one is the pass that ended now. */
  readonly history: readonly PolicyPass[];
  /** Share of its time that each vCPU is asleep now, 0 to 99 percent. */
  readonly throttlePercent: number;
  readonly limits: PolicyLimits;
}

/** One finished pass. */
export interface PolicyPass {
  readonly pass: number;
  /** Dirty at its begin. */
  readonly dirtyPages: number;
  /** Retired, by any kind, also those that were found unchanged and not sent. */
  readonly sentPages: number;
  readonly wireBytes: number;
  /** From its begin to the sync that ended it. */
  readonly durationMs: number;
  /** Became dirty in it, each counted once. */
  readonly dirtiedPages: number;
  /** Dirty after the sync that ended it. */
  readonly remainingPages: number;
  /** Guest bytes retired, by any kind; 0 for a pass that took no time. */
  readonly effectiveBytesPerMs: number;
  readonly encodeMs: number;
  /**
   * Share of its time in which the busiest vCPU ran guest code, 0 to 1. The rest it waited for
   * something, or slept for a throttle.
   */
  readonly busyShare: number;
  /** In force while it ran. */
  readonly throttlePercent: number;
}

/** What the user wants and allows; read anew for each round, for most of it changes live. */
export interface PolicyLimits {
  readonly downtimeLimitMs: number;
  /** Of pre-copy; 0: none. One that ends in post-copy is when the last page is to have come. */
  readonly timeoutMs: number;
  readonly timeoutAction: TimeoutAction;
  /** Holds whatever a policy says; 0: unlimited. */
  readonly maxBandwidthBytesPerSecond: number;
  /** The same in post-copy. */
  readonly maxPostcopyBandwidthBytesPerSecond: number;
  /** To assume for the switch instead of what was measured; 0: none. */
  readonly availSwitchoverBandwidthBytesPerSecond: number;
  /** Post-copy may follow by these rules; undefined: only on command. */
  readonly hybrid: HybridRules | undefined;
  /** Of the capability `auto-converge`; undefined: the guest must not be slowed. */
  readonly autoConverge: ThrottleLimits | undefined;
  readonly allows: PolicyPermissions;
}

/** When pre-copy gives way to post-copy by itself. */
export interface HybridRules {
  /** After so many passes; 0: no such rule. */
  readonly afterPasses: number;
  /** When a pass leaves no less to send than the one before. */
  readonly plateau: boolean;
}

/** QEMU's `cpu-throttle-*`, percent. */
export interface ThrottleLimits {
  readonly initialPercent: number;
  readonly incrementPercent: number;
  readonly maxPercent: number;
  /** Dirtied / transferred beyond which the guest counts as too fast. */
  readonly triggerPercent: number;
  /** The last steps are only as large as they must be. */
  readonly tailslow: boolean;
}

/** What may be done when the downtime limit cannot be kept. */
export interface PolicyPermissions {
  /** Slow the guest down. */
  readonly throttle: boolean;
  /** Hand it over with pages missing. */
  readonly postcopy: boolean;
  /** Pause it for longer than the limit, at the timeout or where nothing is gained by that. */
  readonly suspend: boolean;
  /** Let it stay where it is, once the timeout is over. */
  readonly cancel: boolean;
}

export type PolicyDecision = IterateDecision | EndDecision;

export interface IterateDecision {
  readonly action: 'iterate';
  /** Of the next pass; absent or 0: the user's limit alone. */
  readonly bytesPerSecond?: number;
  /**
   * Of the next pass: what it has not sent by then stays dirty, and the policy is asked again.
   * Absent: until all was sent.
   */
  readonly passMsMax?: number;
  /** From now on, 0 to 99; absent: as it is. Only where `allows.throttle`. */
  readonly throttlePercent?: number;
  /** Logged and shown, one short sentence. */
  readonly because?: string;
}

export interface EndDecision {
  /** `postcopy`: only where `allows.postcopy`. */
  readonly action: 'stop-and-copy' | 'postcopy' | 'give-up';
  /** A word: `converged`, `timeout`, `plateau`, `passes`, `rate`, `data`, or a policy's own. */
  readonly reason: string;
  readonly because?: string;
}
