import { SternaError } from './errors.ts';
import { RAM_BYTES_MAX } from './limits.ts';

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
  /** `x-timeout`: milliseconds of pre-copy, 0 = none; then `x-timeout-action`. */
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
}

/**
 * `precopy`, `stop` (cold), `postcopy` (the guest goes first, its pages follow), `hybrid`
 * (pre-copy, then post-copy by a rule or on command).
 */
export type MigrationMode = 'precopy' | 'stop' | 'postcopy' | 'hybrid';
export type TimeoutAction = 'cancel' | 'suspend' | 'postcopy';
export type Switch = 'on' | 'off';
export type PostcopyOrder = 'bubbling' | 'sequential';
export type VerifyMode = 'off' | 'after' | 'strict';

interface NumberParameter {
  readonly type: 'number';
  readonly key: keyof MigrationParameters;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly unit: 'B/s' | 'B' | 'ms' | 'passes';
  readonly powerOfTwo?: true;
  /** May change while a migration runs. */
  readonly live: boolean;
}

interface ChoiceParameter {
  readonly type: 'choice';
  readonly key: keyof MigrationParameters;
  readonly default: string;
  readonly choices: readonly string[];
  readonly live: boolean;
}

interface DirectoryParameter {
  readonly type: 'directory';
  readonly key: keyof MigrationParameters;
  /** Empty: none. */
  readonly default: string;
  readonly live: boolean;
}

export type ParameterDefinition = NumberParameter | ChoiceParameter | DirectoryParameter;

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
};

/**
 * Capabilities that this version has, with QEMU's names; all default to off but `x-` ones that say
 * otherwise.
 */
export const MIGRATION_CAPABILITIES: Readonly<
  Record<string, { readonly default: boolean; readonly fixed?: true }>
> = {
  xbzrle: { default: false },
  events: { default: false },
  'validate-uuid': { default: false },
  // The destination always answers on the same socket; kept for clients that ask.
  'return-path': { default: true, fixed: true },
  'postcopy-ram': { default: false },
  // A second connection for the pages that a vCPU waits for.
  'postcopy-preempt': { default: false },
  // The destination sends back what its guest changes while pages are missing.
  'x-postcopy-journal': { default: false },
  // What the guest waited for is always measured.
  'postcopy-blocktime': { default: true, fixed: true },
};

export type CapabilityName =
  | 'xbzrle'
  | 'events'
  | 'validate-uuid'
  | 'return-path'
  | 'postcopy-ram'
  | 'postcopy-preempt'
  | 'x-postcopy-journal'
  | 'postcopy-blocktime';
export type MigrationCapabilities = Readonly<Record<CapabilityName, boolean>>;

export function defaultParameters(): MigrationParameters {
  const values: Record<string, unknown> = {};
  for (const definition of Object.values(MIGRATION_PARAMETERS))
    values[definition.key] = definition.default;
  // The table has every key of the interface; test/unit/base checks it.
  return values as unknown as MigrationParameters;
}

export function defaultCapabilities(): MigrationCapabilities {
  const entries = Object.entries(MIGRATION_CAPABILITIES).map(([name, { default: value }]) => [
    name,
    value,
  ]);
  // The keys of the table are exactly CapabilityName; test/unit/base checks it.
  return Object.fromEntries(entries) as MigrationCapabilities;
}

/** Checks one value by its public name. Throws E_CONFIG_INVALID that names the range. */
export function checkParameter(
  name: string,
  value: unknown,
): { key: keyof MigrationParameters; value: number | string } {
  const definition = MIGRATION_PARAMETERS[name];
  if (definition === undefined) {
    throw new SternaError('E_CONFIG_INVALID', `Parameter '${name}' is unexpected`, {
      detail: { known: Object.keys(MIGRATION_PARAMETERS) },
    });
  }
  if (definition.type === 'choice') {
    if (typeof value !== 'string' || !definition.choices.includes(value)) {
      throw new SternaError(
        'E_CONFIG_INVALID',
        `Parameter '${name}' expects one of ${definition.choices.join(', ')}`,
        { detail: { value } },
      );
    }
    return { key: definition.key, value };
  }
  if (definition.type === 'directory') return { key: definition.key, value: path(name, value) };
  const expected = `${definition.powerOfTwo ? 'a power of two ' : 'an integer '}from ${definition.min} to ${definition.max} ${definition.unit}`;
  const wellFormed =
    typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    value >= definition.min &&
    value <= definition.max;
  if (!wellFormed || (definition.powerOfTwo && 2 ** Math.floor(Math.log2(value)) !== value)) {
    throw new SternaError('E_CONFIG_INVALID', `Parameter '${name}' expects ${expected}`, {
      detail: { value },
    });
  }
  return { key: definition.key, value };
}

const PATH_LENGTH_MAX = 4096;

/** Absolute: an agent has a working directory of its own. */
function path(name: string, value: unknown): string {
  const isPath = typeof value === 'string' && value.length <= PATH_LENGTH_MAX;
  if (isPath && !value.includes('\0') && (value === '' || value.startsWith('/'))) return value;
  throw new SternaError(
    'E_CONFIG_INVALID',
    `Parameter '${name}' expects the absolute path of a directory, or nothing`,
    { detail: { value } },
  );
}
