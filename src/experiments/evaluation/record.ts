import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../measuring/index.ts';
import type { FailedRun, Figures } from './figures.ts';
import type { MigrationSpec, RunsOf } from './scenario.ts';

/** A line of results/NAME.jsonl: one run of one variant. */
export interface RunRecord {
  readonly scenario: string;
  readonly number: number;
  readonly variant: string;
  /** From 1. */
  readonly repetition: number;
  /** When the command began: what was measured together. */
  readonly batch: string;
  readonly smoke?: true;
  readonly spec: MigrationSpec;
  /** Who limited the rate. */
  readonly link: 'kernel' | 'none';
  readonly result: Figures | FailedRun;
  readonly machine: Machine;
}

/** The newest records of a scenario by its name; none: it was not run. */
export type RecordsOf = (scenario: string) => readonly RunRecord[];

/** Reads what a folder of results has of it. */
export function recordsIn(folder: string): RecordsOf {
  return (scenario) => {
    const file = join(folder, `${scenario}.jsonl`);
    return existsSync(file) ? newestBatch(parseRecords(readFileSync(file, 'utf8'))) : [];
  };
}

/** Those of the newest batch in which that scenario was run. */
export function newestBatch(records: readonly RunRecord[]): readonly RunRecord[] {
  // Times as text: they sort as they are.
  const newest = records
    .map(({ batch }) => batch)
    .sort()
    .at(-1);
  return records.filter(({ batch }) => batch === newest);
}

export function runsOf(records: readonly RunRecord[]): RunsOf {
  return (variant) =>
    records.flatMap((record) =>
      record.variant === variant && !('failure' in record.result) ? [record.result] : [],
    );
}

/** Why runs could not be made, each reason once. */
export function failuresOf(records: readonly RunRecord[]): readonly string[] {
  const reasons = records.flatMap(({ result }) => ('failure' in result ? [result.failure] : []));
  return [...new Set(reasons)];
}

/** Reads the lines of a results file. */
export function parseRecords(text: string): readonly RunRecord[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RunRecord);
}
