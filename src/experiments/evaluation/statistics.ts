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
