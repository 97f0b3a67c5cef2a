import { MULTIFD_CHANNELS_MAX, RAM_BYTES_MAX } from '../limits.ts';
import type { ParameterDefinition } from './parameter-check.ts';

/**
 * Parameters of a migration: QEMU's names, units, defaults and ranges (qapi/migration.json), ours
 * under `x-`. One table, used by QMP, by `sterna set` and by the engines.
 */
export interface MigrationParameters {
  /**
   * `max-bandwidth`: bytes per second before the switch, 0 = unlimited. Lifted while the guest is
   * paused, as in QEMU.
   */
  maxBandwidthBytesPerSecond: number;
  /** `downtime-limit`, milliseconds. */
  downtimeLimitMs: number;
  /**
   * `avail-switchover-bandwidth`: bytes per second to assume for the switch, 0 = what was measured.
   */
  availSwitchoverBandwidthBytesPerSecond: number;
  /** `xbzrle-cache-size`, bytes, a power of two. */
  xbzrleCacheBytes: number;
  /** `x-xbzrle-cache-ways`: pages of a set of that cache; 1 is QEMU's direct-mapped one. */
  xbzrleCacheWays: '1' | '2';
  /** `x-reorder`: within a pass, the coldest pages first and the hottest last. */
  reorder: Switch;
  /**
   * `max-postcopy-bandwidth`: bytes per second of pages that nobody waits for, 0 = unlimited. Pages
   * that a vCPU waits for are never held back.
   */
  maxPostcopyBandwidthBytesPerSecond: number;
  /** `x-mode`. */
  mode: MigrationMode;
  /**
   * `x-timeout`: milliseconds of pre-copy, 0 = none; then `x-timeout-action`. With `postcopy` that
   * comes in time for the last page to have come by then.
   */
  timeoutMs: number;
  timeoutAction: TimeoutAction;
  /**
   * `x-verify`: compare the RAM of both sides after the switch, before GRANT (`strict`), or not.
   */
  verify: VerifyMode;
  /** `x-stall-timeout`: milliseconds of silence of the peer after which the link counts as lost. */
  stallTimeoutMs: number;
  /** `x-postcopy-after-passes`: in mode `hybrid`, passes before post-copy; 0 = no such rule. */
  postcopyAfterPasses: number;
  /** `x-postcopy-plateau`: in mode `hybrid`, post-copy when a pass leaves no less than the last. */
  postcopyPlateau: Switch;
  /**
   * `x-postcopy-order`: of pages that nobody waits for; outward from recent faults, or ascending.
   */
  postcopyOrder: PostcopyOrder;
  /** `x-auto-recover`: a link that is lost in post-copy is made anew without being asked. */
  autoRecover: Switch;
  /**
   * `x-postcopy-journal-bandwidth`: bytes per second of the journal that the destination of
   * post-copy sends back, 0 = unlimited.
   */
  postcopyJournalBandwidthBytesPerSecond: number;
  /** `x-postcopy-journal-interval`: milliseconds from one consistent point to the next at least. */
  postcopyJournalIntervalMs: number;
  /** `x-postcopy-journal-buffer`: bytes of pages that either side keeps of one point at most. */
  postcopyJournalBufferBytes: number;
  /**
   * `x-postcopy-spill`: a directory for the missing pages, should the source lose its process;
   * empty = none is written.
   */
  postcopySpill: string;
  /**
   * `x-policy`: `auto`, `clark`, `qemu`, `svard`, or the path of a user's own (docs/policies.md).
   */
  policy: string;
  /** `cpu-throttle-initial`: percent of auto-converge's first step. */
  cpuThrottleInitialPercent: number;
  /** `cpu-throttle-increment`: percent of each further step. */
  cpuThrottleIncrementPercent: number;
  /** `max-cpu-throttle`: percent, not below `cpu-throttle-initial`. */
  maxCpuThrottlePercent: number;
  /** `throttle-trigger-threshold`: percent of what leaves that may become dirty meanwhile. */
  throttleTriggerPercent: number;
  /** `cpu-throttle-tailslow`: the last steps are only as large as they must be. */
  cpuThrottleTailslow: boolean;
  /** `vcpu-dirty-limit`: MB/s that a vCPU may dirty, with the capability `dirty-limit`. */
  vcpuDirtyLimitMegabytesPerSecond: number;
  /** `x-vcpu-dirty-limit-period`: milliseconds from one look at that to the next. */
  vcpuDirtyLimitPeriodMs: number;
  /** `multifd-channels`: connections for pages, with the capability `multifd`. */
  multifdChannels: number;
  /**
   * `x-codec`: what becomes LZ4: whatever arrives sooner by it (`auto`), whole pages, deltas, both,
   * or nothing.
   */
  codec: CodecChoice;
}

/**
 * `precopy`, `stop` (cold), `postcopy` (the guest goes first, its pages follow), `hybrid`
 * (pre-copy, then post-copy by a rule or on command).
 */
export type MigrationMode = 'precopy' | 'stop' | 'postcopy' | 'hybrid';
export type TimeoutAction = 'cancel' | 'suspend' | 'postcopy';
export type Switch = 'on' | 'off';
export type PostcopyOrder = 'bubbling' | 'sequential';
export type CodecChoice = 'auto' | 'none' | 'lz4' | 'delta-lz4' | 'all';
export type VerifyMode = 'off' | 'after' | 'strict';

export const POLICY_NAMES: readonly string[] = ['auto', 'clark', 'qemu', 'svard'];

export const MIGRATION_PARAMETERS: Readonly<Record<string, ParameterDefinition>> = {
  'max-bandwidth': {
    type: 'number',
    key: 'maxBandwidthBytesPerSecond',
    default: 128 * 2 ** 20,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'B/s',
    live: true,
  },
  'downtime-limit': {
    type: 'number',
    key: 'downtimeLimitMs',
    default: 300,
    min: 0,
    max: 2_000_000,
    unit: 'ms',
    live: true,
  },
  'avail-switchover-bandwidth': {
    type: 'number',
    key: 'availSwitchoverBandwidthBytesPerSecond',
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'B/s',
    live: true,
  },
  'xbzrle-cache-size': {
    type: 'number',
    key: 'xbzrleCacheBytes',
    default: 64 * 2 ** 20,
    min: 4096,
    max: RAM_BYTES_MAX,
    unit: 'B',
    powerOfTwo: true,
    live: true,
  },
  'x-xbzrle-cache-ways': {
    type: 'choice',
    key: 'xbzrleCacheWays',
    default: '2',
    choices: ['1', '2'],
    live: false,
  },
  'x-reorder': {
    type: 'choice',
    key: 'reorder',
    default: 'on',
    choices: ['on', 'off'],
    live: true,
  },
  'max-postcopy-bandwidth': {
    type: 'number',
    key: 'maxPostcopyBandwidthBytesPerSecond',
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'B/s',
    live: true,
  },
  'x-mode': {
    type: 'choice',
    key: 'mode',
    default: 'precopy',
    choices: ['precopy', 'stop', 'postcopy', 'hybrid'],
    live: false,
  },
  'x-timeout': {
    type: 'number',
    key: 'timeoutMs',
    default: 0,
    min: 0,
    max: 2 ** 31 - 1,
    unit: 'ms',
    live: true,
  },
  'x-timeout-action': {
    type: 'choice',
    key: 'timeoutAction',
    default: 'suspend',
    choices: ['cancel', 'suspend', 'postcopy'],
    live: true,
  },
  'x-verify': {
    type: 'choice',
    key: 'verify',
    default: 'after',
    choices: ['off', 'after', 'strict'],
    live: false,
  },
  'x-stall-timeout': {
    type: 'number',
    key: 'stallTimeoutMs',
    default: 10_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    live: false,
  },
  'x-postcopy-after-passes': {
    type: 'number',
    key: 'postcopyAfterPasses',
    default: 1,
    min: 0,
    max: 1000,
    unit: 'passes',
    live: true,
  },
  'x-postcopy-plateau': {
    type: 'choice',
    key: 'postcopyPlateau',
    default: 'on',
    choices: ['on', 'off'],
    live: true,
  },
  'x-postcopy-order': {
    type: 'choice',
    key: 'postcopyOrder',
    default: 'bubbling',
    choices: ['bubbling', 'sequential'],
    live: false,
  },
  'x-auto-recover': {
    type: 'choice',
    key: 'autoRecover',
    default: 'on',
    choices: ['on', 'off'],
    live: true,
  },
  // Fixed when HELLO tells them: the destination goes by them, and the source sets room aside.
  'x-postcopy-journal-bandwidth': {
    type: 'number',
    key: 'postcopyJournalBandwidthBytesPerSecond',
    default: 32 * 2 ** 20,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'B/s',
    live: false,
  },
  'x-postcopy-journal-interval': {
    type: 'number',
    key: 'postcopyJournalIntervalMs',
    default: 200,
    min: 10,
    max: 3_600_000,
    unit: 'ms',
    live: false,
  },
  'x-postcopy-journal-buffer': {
    type: 'number',
    key: 'postcopyJournalBufferBytes',
    default: 256 * 2 ** 20,
    min: 64 * 2 ** 10,
    max: RAM_BYTES_MAX,
    unit: 'B',
    live: false,
  },
  'x-postcopy-spill': { type: 'directory', key: 'postcopySpill', default: '', live: false },
  // Fixed: what it needs is agreed upon in HELLO.
  'x-policy': { type: 'module', key: 'policy', default: 'auto', names: POLICY_NAMES, live: false },
  'cpu-throttle-initial': {
    type: 'number',
    key: 'cpuThrottleInitialPercent',
    default: 20,
    min: 1,
    max: 99,
    unit: '%',
    live: true,
  },
  'cpu-throttle-increment': {
    type: 'number',
    key: 'cpuThrottleIncrementPercent',
    default: 10,
    min: 1,
    max: 99,
    unit: '%',
    live: true,
  },
  'max-cpu-throttle': {
    type: 'number',
    key: 'maxCpuThrottlePercent',
    default: 99,
    min: 1,
    max: 99,
    unit: '%',
    live: true,
  },
  'throttle-trigger-threshold': {
    type: 'number',
    key: 'throttleTriggerPercent',
    default: 50,
    min: 1,
    max: 100,
    unit: '%',
    live: true,
  },
  'cpu-throttle-tailslow': {
    type: 'boolean',
    key: 'cpuThrottleTailslow',
    default: false,
    live: true,
  },
  'vcpu-dirty-limit': {
    type: 'number',
    key: 'vcpuDirtyLimitMegabytesPerSecond',
    default: 1,
    min: 1,
    max: 2 ** 20,
    unit: 'MB/s',
    live: true,
  },
  'x-vcpu-dirty-limit-period': {
    type: 'number',
    key: 'vcpuDirtyLimitPeriodMs',
    default: 1000,
    min: 1,
    max: 1000,
    unit: 'ms',
    live: true,
  },
  // QEMU admits 255; more than these a receiver has no place for.
  'multifd-channels': {
    type: 'number',
    key: 'multifdChannels',
    default: 2,
    min: 1,
    max: MULTIFD_CHANNELS_MAX,
    unit: 'connections',
    live: false,
  },
  'x-codec': {
    type: 'choice',
    key: 'codec',
    default: 'none',
    choices: ['auto', 'none', 'lz4', 'delta-lz4', 'all'],
    live: false,
  },
};

export function defaultParameters(): MigrationParameters {
  const values: Record<string, unknown> = {};
  for (const definition of Object.values(MIGRATION_PARAMETERS))
    values[definition.key] = definition.default;
  // The table has every key of the interface; test/unit/base checks it.
  return values as unknown as MigrationParameters;
}
