import { median, rounded, spread } from '../measuring/index.ts';
import type { Figures } from './figures.ts';

/** `holds`, `does not hold`; `none`: nothing is claimed, or nothing can be said. */
export type Holds = 'holds' | 'does not hold' | 'none';

export interface Verdict {
  /** Our figures, in the terms of the published one. */
  readonly ours: string;
  readonly direction: Holds;
  readonly ratio: Holds;
  /** What a reader has to know to judge it. */
  readonly note?: string;
}

export function holds(isSo: boolean): Holds {
  return isSo ? 'holds' : 'does not hold';
}

/** Of runs that have that figure. */
export function valuesOf(runs: readonly Figures[], field: NumberField): number[] {
  return runs.flatMap((run) => {
    const value = run[field];
    return value === undefined ? [] : [value];
  });
}

export type NumberField =
  | 'totalMs'
  | 'downtimeMs'
  | 'sentBytes'
  | 'hitRate'
  | 'deltaRatio'
  | 'faults'
  | 'blockedMs';

/** The median of that figure; NaN when no run has it. */
export function middle(runs: readonly Figures[], field: NumberField): number {
  return median(valuesOf(runs, field));
}

/** Median of the baseline over that of the improved: how many times smaller it has become. */
export function timesSmaller(
  baseline: readonly Figures[],
  improved: readonly Figures[],
  field: NumberField,
): number {
  return middle(baseline, field) / middle(improved, field);
}

/** Change of the median in percent; negative: it has become smaller. */
export function percentChange(
  baseline: readonly Figures[],
  improved: readonly Figures[],
  field: NumberField,
): number {
  return (middle(improved, field) / middle(baseline, field) - 1) * 100;
}

export function allEnded(status: string, ...groups: readonly (readonly Figures[])[]): boolean {
  return groups.every((runs) => runs.length > 0 && runs.every((run) => run.status === status));
}

/** A completed migration counts only when both sides hold the same RAM. */
export function allIdentical(...groups: readonly (readonly Figures[])[]): boolean {
  return groups.every((runs) =>
    runs.every((run) => run.status !== 'completed' || run.verify === 'identical'),
  );
}

/** `2716 ms -> 31.5 ms, 86x`: one figure of both, and the ratio. */
export function reduction(
  baseline: readonly Figures[],
  improved: readonly Figures[],
  field: NumberField,
): string {
  const times = timesSmaller(baseline, improved, field);
  return `${shown(baseline, field)} -> ${shown(improved, field)}, ${rounded(times)}x`;
}

/** `64.2 MiB -> 51.3 MiB, -20.1 %`. */
export function change(
  baseline: readonly Figures[],
  improved: readonly Figures[],
  field: NumberField,
): string {
  const percent = percentChange(baseline, improved, field);
  const sign = percent > 0 ? '+' : '';
  return `${shown(baseline, field)} -> ${shown(improved, field)}, ${sign}${rounded(percent)} %`;
}

const MIB = 2 ** 20;

/** Median and extremes, with the unit. */
export function shown(runs: readonly Figures[], field: NumberField): string {
  const values = valuesOf(runs, field);
  if (field === 'sentBytes') return `${spread(values.map((bytes) => bytes / MIB))} MiB`;
  return field.endsWith('Ms') ? `${spread(values)} ms` : spread(values);
}
