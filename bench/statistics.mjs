export function quantile(samples, share) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (samples) => quantile(samples, 0.5);

/** Median, extremes and count: what a record says of repeated measurements. */
export function summary(samples, digits = 3) {
  const round = (value) => Number(value.toFixed(digits));
  return {
    p50: round(median(samples)),
    p99: round(quantile(samples, 0.99)),
    min: round(Math.min(...samples)),
    max: round(Math.max(...samples)),
    count: samples.length,
  };
}
