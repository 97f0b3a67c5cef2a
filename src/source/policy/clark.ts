import { PAGE_BYTES } from '../../base/index.ts';
import { PACE_BYTES_PER_SECOND_MIN, type Policy, type PolicyLimits } from './policy.ts';
import { byUserRules } from './user-rules.ts';

/** The published values (Clark et al., NSDI 2005, and the stop rules of the Xen of that time). */
export const CLARK = {
  minBytesPerSecond: 100e6 / 8,
  /** On top of the rate at which the guest dirtied pages in the last pass. */
  stepBytesPerSecond: 50e6 / 8,
  maxBytesPerSecond: 500e6 / 8,
  /** So little remains that another pass would not make it less. */
  remainingBytesMin: 256 * 2 ** 10,
  remainingPagesMin: 50,
  passesMax: 29,
  /** Of the RAM, on the wire. */
  ramTimesMax: 3,
} as const;

/**
 * Clark et al. 2005: pre-copy that spares the guest's network. The first pass goes at the lowest
 * rate, each next one as fast as the guest dirtied pages in the last, and a little faster. It stops
 * when that would need more than the highest rate: what is left then is the writable working set,
 * which is not worth sending while the guest runs. It knows no downtime limit.
 */
export const clarkPolicy: Policy = {
  name: 'clark',

  begin: ({ limits }) => ({ bytesPerSecond: ratesOf(limits).min }),

  decide(round) {
    const { pass, remainingPages, history, limits, sentBytes, ramPages } = round;
    const remainingBytes = remainingPages * PAGE_BYTES;
    if (remainingPages < CLARK.remainingPagesMin || remainingBytes < CLARK.remainingBytesMin) {
      return { action: 'stop-and-copy', reason: 'converged' };
    }
    if (pass >= CLARK.passesMax) return { action: 'stop-and-copy', reason: 'passes' };
    if (sentBytes > CLARK.ramTimesMax * ramPages * PAGE_BYTES) {
      return { action: 'stop-and-copy', reason: 'data' };
    }
    const rates = ratesOf(limits);
    const last = history.at(-1);
    const dirtyBytes = (last?.dirtiedPages ?? 0) * PAGE_BYTES;
    const durationMs = last?.durationMs ?? 0;
    const dirtyRate = durationMs > 0 ? (dirtyBytes * 1000) / durationMs : 0;
    const bytesPerSecond = Math.round(dirtyRate + rates.step);
    const because = `dirtied at ${Math.round(dirtyRate)} B/s`;
    if (bytesPerSecond > rates.max) return { action: 'stop-and-copy', reason: 'rate', because };
    return (
      byUserRules(round) ?? {
        action: 'iterate',
        bytesPerSecond: Math.max(rates.min, bytesPerSecond),
        because,
      }
    );
  },
};

/** Under a lower limit of the user all three are smaller in proportion. */
function ratesOf({ maxBandwidthBytesPerSecond: limit }: PolicyLimits) {
  const { minBytesPerSecond: min, stepBytesPerSecond: step, maxBytesPerSecond: max } = CLARK;
  const scale = limit > 0 ? Math.min(1, limit / max) : 1;
  const scaled = (rate: number) => Math.max(PACE_BYTES_PER_SECOND_MIN, rate * scale);
  return { min: scaled(min), step: scaled(step), max: scaled(max) };
}
