import { formatBytes, PAGE_BYTES, parseBytes, SternaError } from '../../base/index.ts';

/**
 * What the guest does; the text form is `memwrite,fill=900M,hot=64M,rate=20000,words=8,step=512`.
 */
export type WorkloadSpec = IdleSpec | MemwriteSpec | AbSpec;

/** Does nothing but tick; optionally fills memory first. */
export interface IdleSpec {
  readonly kind: 'idle';
  readonly fillBytes: number;
  readonly content: FillContent;
}

/** Fills memory, then writes its hot range in a loop. */
export interface MemwriteSpec {
  readonly kind: 'memwrite';
  readonly fillBytes: number;
  readonly content: FillContent;
  readonly hotBytes: number;
  readonly pattern: WritePattern;
  /** Of all vCPUs together; 0: as fast as they can. */
  readonly ratePagesPerSecond: number;
  /** 4-byte words that a write changes in a page, and their distance. */
  readonly words: number;
  readonly stepBytes: number;
  /** Share of the accesses that only read. */
  readonly readPercent: number;
}

/** What memory is filled with. Noise does not get shorter by any codec, text to less than half. */
export const FILL_CONTENTS = ['noise', 'text'] as const;
export type FillContent = (typeof FILL_CONTENTS)[number];

export function contentOf(spec: WorkloadSpec): FillContent {
  return spec.kind === 'ab' ? 'noise' : spec.content;
}

/** QEMU's migration test guest. */
export interface AbSpec {
  readonly kind: 'ab';
}

/** Their order is the number by which a program knows them. */
export const WRITE_PATTERNS = ['seq', 'random', 'zipf', 'walk'] as const;
export type WritePattern = (typeof WRITE_PATTERNS)[number];

/** `ab` writes from here to AB_END_BYTES, or to the end of RAM. */
export const AB_START_BYTES = 2 ** 20;
export const AB_END_BYTES = 100 * 2 ** 20;

const HOT_BYTES_DEFAULT = 16 * 2 ** 20;

/** Throws E_CONFIG_INVALID, which names the key, the value and what is allowed. */
export function parseWorkloadSpec(text: string): WorkloadSpec {
  const [kind = '', ...pairs] = text.trim().split(',');
  const known = KEYS.get(kind);
  if (known === undefined) {
    throw invalid(`Unknown workload ${JSON.stringify(kind)}`, {
      workload: kind,
      known: [...KEYS.keys()],
    });
  }
  const values = new Map<string, string>();
  for (const pair of pairs) {
    const [key = '', value, ...rest] = pair.split('=');
    if (!known.includes(key)) {
      throw invalid(`Workload ${kind} has no key ${JSON.stringify(key)}`, { key, known });
    }
    if (value === undefined || value === '' || rest.length > 0) {
      throw invalid(`Workload key ${key} needs one value`, {
        key,
        given: pair,
        expected: `${key}=VALUE`,
      });
    }
    if (values.has(key)) throw invalid(`Workload key ${key} is given twice`, { key });
    values.set(key, value);
  }
  return buildSpec(kind, values);
}

/** The text from which `parseWorkloadSpec` makes an equal SPEC. */
export function formatWorkloadSpec(spec: WorkloadSpec): string {
  if (spec.kind === 'ab') return 'ab';
  const content = spec.content === 'noise' ? [] : [`content=${spec.content}`];
  if (spec.kind === 'idle') {
    const fill = spec.fillBytes === 0 ? [] : [`fill=${spec.fillBytes}`];
    return ['idle', ...fill, ...content].join(',');
  }
  return [
    'memwrite',
    `fill=${spec.fillBytes}`,
    `hot=${spec.hotBytes}`,
    `pattern=${spec.pattern}`,
    `rate=${spec.ratePagesPerSecond}`,
    `words=${spec.words}`,
    `step=${spec.stepBytes}`,
    `read=${spec.readPercent}`,
    ...content,
  ].join(',');
}

/** Throws E_CONFIG_INVALID when the workload does not fit into that much RAM. */
export function checkWorkloadFits(spec: WorkloadSpec, ramBytes: number): void {
  const ranges =
    spec.kind === 'memwrite'
      ? { fill: spec.fillBytes, hot: spec.hotBytes }
      : { fill: spec.kind === 'idle' ? spec.fillBytes : 0 };
  for (const [key, bytes] of Object.entries(ranges)) {
    if (bytes > ramBytes) {
      throw invalid(`Workload key ${key} is larger than the guest's RAM`, {
        key,
        value: formatBytes(bytes),
        allowed: `0 to ${formatBytes(ramBytes)}`,
      });
    }
  }
  if (spec.kind === 'ab' && ramBytes <= AB_START_BYTES) {
    throw invalid('Workload ab needs more RAM', {
      allowed: `more than ${formatBytes(AB_START_BYTES)}`,
    });
  }
}

/**
 * Workload -> its keys. A map, because the name comes from outside and an object has names of its
 * own.
 */
const KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['idle', ['fill', 'content']],
  ['memwrite', ['fill', 'hot', 'pattern', 'rate', 'words', 'step', 'read', 'content']],
  ['ab', []],
]);

function buildSpec(kind: string, values: ReadonlyMap<string, string>): WorkloadSpec {
  if (kind === 'ab') return { kind: 'ab' };
  const fillBytes = pagesOf(values, 'fill', 0, 0);
  const content = choiceOf('content', FILL_CONTENTS, values.get('content') ?? 'noise');
  if (kind === 'idle') return { kind: 'idle', fillBytes, content };
  const words = wholeNumber(values, 'words', 1, 1, PAGE_BYTES / 4);
  const stepBytes = wholeNumber(values, 'step', 64, 4, PAGE_BYTES);
  if (stepBytes % 4 !== 0) {
    throw invalid('Workload key step must be a multiple of 4', { key: 'step', value: stepBytes });
  }
  if (words * stepBytes > PAGE_BYTES) {
    throw invalid('Workload keys words and step do not fit into a page', {
      key: 'words',
      value: words,
      step: stepBytes,
      allowed: `words * step of at most ${PAGE_BYTES}`,
    });
  }
  const hotDefault = fillBytes > 0 ? fillBytes : HOT_BYTES_DEFAULT;
  return {
    kind: 'memwrite',
    fillBytes,
    content,
    hotBytes: pagesOf(values, 'hot', hotDefault, PAGE_BYTES),
    pattern: choiceOf('pattern', WRITE_PATTERNS, values.get('pattern') ?? 'seq'),
    ratePagesPerSecond: wholeNumber(values, 'rate', 0, 0, 1e9),
    words,
    stepBytes,
    readPercent: wholeNumber(values, 'read', 0, 0, 100),
  };
}

/** A size, rounded up to whole pages. */
function pagesOf(
  values: ReadonlyMap<string, string>,
  key: string,
  byDefault: number,
  min: number,
): number {
  const text = values.get(key);
  if (text === undefined) return byDefault;
  const bytes = sizeOf(key, text);
  if (bytes < min) {
    throw invalid(`Workload key ${key} is out of range`, {
      key,
      value: text,
      allowed: `${min} bytes or more`,
    });
  }
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

function sizeOf(key: string, text: string): number {
  try {
    return parseBytes(text);
  } catch (cause) {
    throw invalid(
      `Workload key ${key} is not a size: ${JSON.stringify(text)}`,
      { key, value: text, expected: 'a number with an optional unit K, M or G' },
      cause,
    );
  }
}

function wholeNumber(
  values: ReadonlyMap<string, string>,
  key: string,
  byDefault: number,
  min: number,
  max: number,
): number {
  const text = values.get(key);
  if (text === undefined) return byDefault;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw invalid(`Workload key ${key} is out of range: ${JSON.stringify(text)}`, {
      key,
      value: text,
      allowed: `a whole number from ${min} to ${max}`,
    });
  }
  return number;
}

function choiceOf<T extends string>(key: string, known: readonly T[], text: string): T {
  const choice = known.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw invalid(`Workload key ${key} is unknown: ${JSON.stringify(text)}`, {
    key,
    value: text,
    known,
  });
}

function invalid(
  message: string,
  detail: Readonly<Record<string, unknown>>,
  cause?: unknown,
): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, { detail, cause });
}
