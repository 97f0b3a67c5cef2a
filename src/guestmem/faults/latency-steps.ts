/**
 * The distribution of fault latencies as counts: eight steps an octave from 1 us, so that a
 * quantile is known to within 5 %. Buckets of an octave alone, as QEMU has them, cannot tell 70 us
 * from 120.
 */
const STEPS_PER_OCTAVE = 8;
/** Buckets of the distribution of fault latencies, as in QEMU. */
const LATENCY_BUCKET_COUNT = 24;
export const LATENCY_STEP_COUNT = LATENCY_BUCKET_COUNT * STEPS_PER_OCTAVE;

/** The first step takes shorter latencies too, the last longer ones. */
export function latencyStep(latencyMs: number): number {
  const step = Math.floor(Math.log2(Math.max(1, latencyMs * 1000)) * STEPS_PER_OCTAVE);
  return Math.min(step, LATENCY_STEP_COUNT - 1);
}

/** QEMU's buckets: the N-th counts [2^N, 2^(N+1)) microseconds. */
export function latencyBuckets(steps: readonly number[]): number[] {
  return Array.from({ length: LATENCY_BUCKET_COUNT }, (_, bucket) =>
    steps
      .slice(bucket * STEPS_PER_OCTAVE, (bucket + 1) * STEPS_PER_OCTAVE)
      .reduce((sum, count) => sum + count, 0),
  );
}

/** What `share` of the faults did not exceed, milliseconds; 0 without a fault. */
export function latencyQuantileMs(steps: readonly number[], share: number): number {
  const total = steps.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  const rank = Math.min(total, Math.floor(total * share) + 1);
  let counted = 0;
  const step = steps.findIndex((count) => {
    counted += count;
    return counted >= rank;
  });
  // The geometric middle of the step.
  return 2 ** ((step + 0.5) / STEPS_PER_OCTAVE) / 1000;
}
