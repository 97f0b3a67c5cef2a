import { describe, expect, it } from 'vitest';
import {
  type MigrationSpec,
  Runner,
  type RunRecord,
  type Scenario,
} from '../../../../src/experiments/evaluation/index.ts';
import { MACHINE, run } from './evaluation-fixtures.ts';

const plain: MigrationSpec = { ram: '16M', workload: 'idle' };
const shaped: MigrationSpec = { ...plain, linkBytesPerSecond: 1e6 };

function scenario(name: string, variants: Readonly<Record<string, MigrationSpec>>): Scenario {
  return {
    number: 1,
    name,
    title: name,
    source: 'nobody',
    published: 'nothing',
    criterion: 'none',
    baseline: 'one',
    improved: 'two',
    settings: 'small',
    repetitions: 2,
    variants: () => variants,
    judge: () => ({ ours: '', direction: 'none', ratio: 'none' }),
  };
}

function stage(options: { kernelShapes?: boolean; failure?: Error; noLinux?: Error } = {}) {
  const asked: string[] = [];
  const records: RunRecord[] = [];
  const measure = (way: string) => async (spec: MigrationSpec) => {
    asked.push(`${way} ${spec.workload}`);
    if (options.failure !== undefined) throw options.failure;
    return run();
  };
  const runner = new Runner({
    smoke: false,
    batch: 'now',
    machine: () => MACHINE,
    kernelShapes: options.kernelShapes ?? true,
    prepareLinux: async () => {
      if (options.noLinux !== undefined) throw options.noLinux;
      asked.push('linux');
    },
    measure: measure('loopback'),
    measureOverLink: measure('link'),
    onRecord: (record) => records.push(record),
  });
  return { asked, records, runner };
}

describe('the runner', () => {
  it('has a Linux ready before a run that boots one, or says why it cannot', async () => {
    const linux: MigrationSpec = { ram: '16M', linux: { init: 'idle' } };
    const able = stage();
    await able.runner.run(scenario('linux', { linux, plain }));
    expect(able.asked.slice(0, 3)).toEqual(['linux', 'loopback undefined', 'loopback idle']);
    const unable = stage({ noLinux: new Error('no mirror') });
    await unable.runner.run(scenario('linux', { linux }));
    expect(unable.records.map(({ result }) => result)).toEqual([
      { failure: 'no mirror' },
      { failure: 'no mirror' },
    ]);
    expect(unable.asked).toEqual([]);
  });

  it('takes variants by turns, each over its link', async () => {
    const { runner, asked, records } = stage();
    const two: MigrationSpec = { ...shaped, workload: 'ab' };
    const made = await runner.run(scenario('turns', { one: plain, two }));
    expect(asked).toEqual(['loopback idle', 'link ab', 'loopback idle', 'link ab']);
    expect(made.map(({ variant, repetition }) => `${variant} ${repetition}`)).toEqual([
      ...['one 1', 'two 1', 'one 2', 'two 2'],
    ]);
    expect(records).toEqual(made);
    expect(made.map(({ link }) => link)).toEqual(['none', 'kernel', 'none', 'kernel']);
  });

  it('makes a run once that two scenarios want, but each repetition anew', async () => {
    const { runner, asked } = stage();
    await runner.run(scenario('first', { one: plain }));
    await runner.run(scenario('second', { other: { ...plain } }));
    expect(asked).toHaveLength(2);
  });

  it('records why a run could not be made, and goes on', async () => {
    const { runner } = stage({ failure: new Error('This version has no x-reorder') });
    const made = await runner.run(scenario('failing', { one: plain }));
    expect(made.map(({ result }) => result)).toEqual([
      { failure: 'This version has no x-reorder' },
      { failure: 'This version has no x-reorder' },
    ]);
  });

  it('does not pass loopback off as a link', async () => {
    const { runner, asked } = stage({ kernelShapes: false });
    const [first] = await runner.run(scenario('unshaped', { one: shaped }));
    expect(asked).toEqual([]);
    expect(first?.result).toEqual({ failure: expect.stringMatching(/^needs a link/) });
  });
});
