import type { Plan, PlanRow, Range } from './make-plan.ts';

/** What a migration really took. */
export interface ActualMigration {
  readonly mode: string;
  readonly codec: string;
  readonly slowing: string;
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly wireBytes: number;
}

export interface ScoredFigure {
  readonly predicted: Range;
  readonly actual: number;
  /** (predicted - actual) / actual; of the downtime, the larger one divided by the smaller. */
  readonly error: number;
  readonly isWithin: boolean;
}

export interface PlanScore {
  readonly row: PlanRow;
  readonly total: ScoredFigure;
  readonly downtime: ScoredFigure;
  readonly data: ScoredFigure;
}

/** What a prediction is held to. */
const TOTAL_ERROR_MAX = 0.2;
const DATA_ERROR_MAX = 0.15;
const DOWNTIME_FACTOR_MAX = 2;

/** Undefined when the plan has no row of that mode and codec. */
export function scorePlan(plan: Plan, actual: ActualMigration): PlanScore | undefined {
  const row = plan.rows.find(
    ({ mode, codec, slowing }) =>
      mode === actual.mode && codec === actual.codec && slowing === actual.slowing,
  );
  if (row === undefined) return undefined;
  return {
    row,
    total: relative(row.totalMs, actual.totalMs, TOTAL_ERROR_MAX),
    downtime: factor(row.downtimeMs, actual.downtimeMs),
    data: relative(row.wireBytes, actual.wireBytes, DATA_ERROR_MAX),
  };
}

function relative(predicted: Range, actual: number, max: number): ScoredFigure {
  const error = actual === 0 ? 0 : (predicted.expected - actual) / actual;
  return { predicted, actual, error, isWithin: Math.abs(error) <= max };
}

function factor(predicted: Range, actual: number): ScoredFigure {
  const [low, high] = [predicted.expected, actual].sort((first, second) => first - second) as [
    number,
    number,
  ];
  const error = low > 0 ? high / low : 1;
  return { predicted, actual, error, isWithin: error <= DOWNTIME_FACTOR_MAX };
}
