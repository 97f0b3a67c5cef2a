import { describe, expect, it } from 'vitest';
import {
  drawingsOf,
  evaluationDocument,
  judgeRecords,
  newestBatch,
  parseRecords,
  type RunRecord,
  rowText,
  SCENARIOS,
} from '../../../../src/experiments/evaluation/index.ts';
import { record, run } from './evaluation-fixtures.ts';

const [memoryWrite] = SCENARIOS;
if (memoryWrite === undefined) throw new Error('No scenario');
const passes = [
  { remainingBytes: 2 ** 24, sentBytes: 2 ** 24, durationMs: 100, stopped: false },
  { remainingBytes: 2 ** 20, sentBytes: 2 ** 20, durationMs: 10, stopped: true },
];
const records = [
  record(memoryWrite, 'vanilla', run({ downtimeMs: 3000, passes })),
  record(memoryWrite, 'delta', run({ downtimeMs: 30, passes })),
];
const only = (own: readonly RunRecord[]) => (name: string) =>
  name === memoryWrite.name ? own : [];

describe('the report', () => {
  it('has a row for each scenario, also for those that were not run', () => {
    const text = evaluationDocument(SCENARIOS, only(records), []);
    for (const { name } of SCENARIOS) expect(text).toContain(`\`${name}\``);
    expect(text).toContain('3000 ms -> 30 ms, 100x | holds | holds |');
    expect(text).toContain('not run: not measured yet');
    expect(text).toContain('abc1234');
  });

  it('keeps a row that does not hold, and says so', () => {
    const worse = [records[0] as RunRecord, record(memoryWrite, 'delta', run({ downtimeMs: 100 }))];
    const text = evaluationDocument(SCENARIOS, only(worse), []);
    expect(text).toContain('30x | holds | **does not hold** |');
  });

  it('lets no row hold when a guest was not whole, and judges no smoke run', () => {
    const [vanilla, delta] = records as [RunRecord, RunRecord];
    const different = record(memoryWrite, 'delta', run({ downtimeMs: 30, verify: 'different' }));
    expect(judgeRecords(memoryWrite, [vanilla, delta, different])).toMatchObject({
      verdict: { direction: 'does not hold', ratio: 'does not hold' },
    });
    expect(judgeRecords(memoryWrite, [vanilla, { ...delta, smoke: true }])).toMatchObject({
      verdict: { direction: 'none', ratio: 'none' },
    });
  });

  it('says why runs failed, beside those that did not', () => {
    const failed = [...records, record(memoryWrite, 'delta', { failure: 'no link | today' })];
    expect(evaluationDocument(SCENARIOS, only(failed), [])).toContain(
      'Runs that failed: no link \\| today',
    );
    const all = [record(memoryWrite, 'delta', { failure: 'no link' })];
    expect(judgeRecords(memoryWrite, all)).toEqual({ notRun: 'no link' });
    expect(rowText(memoryWrite, { notRun: 'no link' })).toBe('1 memory-write: not run: no link');
  });

  it('goes by the newest batch of a file', () => {
    const newer = record(memoryWrite, 'delta', run(), { batch: '2026-01-02T00:00:00.000Z' });
    const text = [...records, newer].map((line) => JSON.stringify(line)).join('\n');
    expect(newestBatch(parseRecords(`${text}\n`))).toEqual([newer]);
    expect(newestBatch([])).toEqual([]);
  });

  it('draws only what was measured', () => {
    expect(drawingsOf(SCENARIOS, () => [])).toEqual([]);
    const files = drawingsOf(SCENARIOS, only(records)).map(({ file }) => file);
    expect(files).toEqual(['comparison.svg', 'remaining.svg']);
  });
});
