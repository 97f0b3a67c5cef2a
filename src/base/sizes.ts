import { SternaError } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * `64M`, `1.5G`, `4096`, `900MiB` -> bytes. Units are powers of 1024, as QEMU's. Throws
 * E_CONFIG_INVALID.
 */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '?'];
  const bytes =
    match?.[1] === undefined || unit === undefined ? Number.NaN : Number(match[1]) * unit;
  if (!Number.isSafeInteger(Math.round(bytes)) || Number.isNaN(bytes)) {
    throw new SternaError('E_CONFIG_INVALID', `Not a size: ${JSON.stringify(text)}`, {
      detail: { expected: 'a number with an optional unit K, M, G or T' },
    });
  }
  return Math.round(bytes);
}

/** Bytes -> `1.50 GiB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let index = 0;
  while (Math.abs(value) >= 1024 && index < names.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 ? value.toFixed(0) : value.toFixed(value >= 100 ? 1 : 2)} ${names[index]}`;
}

/** Of something that may come from a peer: a whole number within the two. */
export function isWholeIn(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
