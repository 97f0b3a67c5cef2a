/** The smallest sample that is not below that SHARE of them; NaN of none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** The mean of the middle two of an even number of samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((one, other) => one - other);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export interface Summary {
  readonly p50: number;
  /** Only of samples enough that it is not the largest. */
  readonly p99?: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** What a record says of repeated measurements, with so many digits behind the point. */
export function summary(samples: readonly number[], digits = 3): Summary {
  const round = (value: number) => Number(value.toFixed(digits));
  return {
    p50: round(median(samples)),
    ...(samples.length < 100 ? {} : { p99: round(quantile(samples, 0.99)) }),
    min: round(Math.min(...samples)),
    max: round(Math.max(...samples)),
    count: samples.length,
  };
}

/** `3.1` of one sample, `3.1 (2.9-4)` of several: the median and the extremes. */
export function spread(samples: readonly number[]): string {
  if (samples.length === 0) return 'none';
  const middle = rounded(median(samples));
  if (samples.length === 1) return middle;
  return `${middle} (${rounded(Math.min(...samples))}-${rounded(Math.max(...samples))})`;
}

/** Three significant digits, whole from 100 on. */
export function rounded(value: number): string {
  if (!Number.isFinite(value)) return 'unknown';
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}
