/** How a migration converges, and who decides: parts of `MigrationInfo`, plain data as it is. */

/** The policy of a migration. */
export interface PolicyInfo {
  /** The one that decides now: `auto`, `clark`, `qemu`, `svard`, or the path of a user's own. */
  readonly name: string;
  /** Why `auto` decides instead of what was chosen. Undefined while that does. */
  readonly fallbackReason: string | undefined;
  /** Capabilities that were switched on because the policy needs them. */
  readonly enabled: readonly string[];
  /** Undefined before the first. */
  readonly lastDecision: DecisionInfo | undefined;
}

export interface DecisionInfo {
  readonly pass: number;
  readonly action: 'iterate' | 'stop-and-copy' | 'postcopy' | 'give-up';
  readonly reason: string | undefined;
  readonly because: string | undefined;
}

/** How far vCPUs are throttled for the migration's sake. */
export interface ThrottleInfo {
  /** Share of its time that each vCPU is asleep now; of the slowest one. */
  readonly percent: number;
  /** Mean over pre-copy so far: what the migration has cost the guest. */
  readonly meanPercent: number;
}

/** Why a migration converges or does not, and what would help. */
export interface Diagnosis {
  readonly verdict: Verdict;
  readonly limitingFactor: LimitingFactor;
  /** Pages that the guest writes again and again, as far as the last passes tell. */
  readonly workingSetBytes: number;
  /** In the last pass, each page counted once. */
  readonly dirtyBytesPerSecond: number;
  /** At which guest bytes can be retired, encoded as lately. Undefined before any measurement. */
  readonly effectiveBytesPerSecond: number | undefined;
  /** What a pause now would take. Undefined while nothing was measured. */
  readonly requiredDowntimeMs: number | undefined;
  /** Until the guest can be paused within the limit. Undefined when that is not in sight. */
  readonly etaMs: number | undefined;
  readonly advice: readonly Advice[];
}

/**
 * `plateau`: each pass leaves about as much as the last; `diverging`: more. `bandwidth-limited`:
 * the user's own limit is what holds it back; `cpu-limited`: the encoder is.
 */
export type Verdict = 'converging' | 'plateau' | 'diverging' | 'bandwidth-limited' | 'cpu-limited';

export type LimitingFactor = 'none' | 'working-set' | 'dirty-rate' | 'max-bandwidth' | 'encoder';

export interface Advice {
  /** What to do, by the name of what one sets: a parameter, a capability, `wait`. */
  readonly action: AdviceAction;
  readonly predictedDowntimeMs: number;
  /** Of the whole migration, from its begin; of `xbzrle` and `x-codec`, of one begun anew. */
  readonly predictedTotalMs: number;
}

export type AdviceAction =
  | 'wait'
  | 'max-bandwidth'
  | 'xbzrle'
  | 'x-codec'
  | 'auto-converge'
  | 'postcopy-ram'
  | 'downtime-limit';

/** A dirty limit of one vCPU, and what it does. */
export interface VcpuDirtyLimit {
  readonly vcpu: number;
  readonly limitMegabytesPerSecond: number;
  readonly currentMegabytesPerSecond: number;
}
