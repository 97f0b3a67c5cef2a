import type { Figures, RunRecord, Scenario } from '../../../../src/experiments/evaluation/index.ts';
import type { Machine } from '../../../../src/experiments/measuring/index.ts';

export const MACHINE: Machine = {
  commit: 'abc1234',
  dirty: false,
  node: 'v20.20.0',
  cpu: 'a CPU',
  cores: 2,
  memoryBytes: 2 ** 34,
  load: 0.5,
  at: '2026-01-01T00:00:00.000Z',
};

export function run(fields: Partial<Figures> = {}): Figures {
  return {
    status: 'completed',
    verify: 'identical',
    totalMs: 1000,
    downtimeMs: 10,
    sentBytes: 2 ** 20,
    passes: [],
    ...fields,
  };
}

export function record(
  scenario: Scenario,
  variant: string,
  result: RunRecord['result'],
  more: Partial<RunRecord> = {},
): RunRecord {
  return {
    scenario: scenario.name,
    number: scenario.number,
    variant,
    repetition: 1,
    batch: '2026-01-01T00:00:00.000Z',
    spec: { ram: '16M', workload: 'idle' },
    link: 'kernel',
    result,
    machine: MACHINE,
    ...more,
  };
}
