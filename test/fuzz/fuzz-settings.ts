/**
 * `FUZZ_RUNS` says how many inputs each property gets, `FUZZ_SEED` with which seed they begin: `npm
 * run fuzz` counts it up. Without it the inputs are the same in every run, so that a failure of a
 * change is a failure of that change.
 */
export function fuzzSettings(runs: number): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: Math.max(1, Math.round(runs)), seed: Number(process.env.FUZZ_SEED ?? 1) };
}

export const FUZZ_RUNS = Number(process.env.FUZZ_RUNS ?? 1500);
