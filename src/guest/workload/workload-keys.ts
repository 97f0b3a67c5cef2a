import { PAGE_BYTES, parseBytes, SternaError } from '../../base/index.ts';

/** The values of a SPEC's keys. Each reader throws E_CONFIG_INVALID, which names the key. */
export type WorkloadKeys = ReadonlyMap<string, string>;

/** `key=value` pairs of a workload; only the `known` keys, each once. */
export function readKeys(
  kind: string,
  pairs: readonly string[],
  known: readonly string[],
): WorkloadKeys {
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
  return values;
}

/** A size in bytes, rounded up to whole pages. */
export function pagesOf(
  values: WorkloadKeys,
  key: string,
  byDefault: number,
  min: number,
  max = Number.POSITIVE_INFINITY,
): number {
  const text = values.get(key);
  if (text === undefined) return byDefault;
  const bytes = sizeOf(key, text);
  if (bytes < min || bytes > max) {
    throw invalid(`Workload key ${key} is out of range`, {
      key,
      value: text,
      allowed: Number.isFinite(max) ? `${min} to ${max} bytes` : `${min} bytes or more`,
    });
  }
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** A size in bytes. */
export function sizeOf(key: string, text: string): number {
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

export function wholeNumber(
  values: WorkloadKeys,
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

/** One of a few words. */
export function oneOf<Name extends string>(
  values: WorkloadKeys,
  key: string,
  known: readonly Name[],
  byDefault: Name,
): Name {
  const text = values.get(key) ?? byDefault;
  const name = known.find((candidate) => candidate === text);
  if (name !== undefined) return name;
  throw invalid(`Workload key ${key} is unknown: ${JSON.stringify(text)}`, {
    key,
    value: text,
    known,
  });
}

/** How many words a write changes in a page, and their distance in bytes. */
export function changedWords(
  values: WorkloadKeys,
  wordsDefault: number,
): { readonly words: number; readonly stepBytes: number } {
  const words = wholeNumber(values, 'words', wordsDefault, 1, PAGE_BYTES / 4);
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
  return { words, stepBytes };
}

/** What each refusal of a SPEC is. */
export function invalid(
  message: string,
  detail: Readonly<Record<string, unknown>>,
  cause?: unknown,
): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, { detail, cause });
}
