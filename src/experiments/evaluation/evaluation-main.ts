// npm run experiments [-- NAME...] [--list] [--smoke] [--repeat N] [--record] [--report]
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type LinuxImage, linuxImage } from '../linux/linux-image.ts';
import { describeMachine, kernelShapes, loadNow, unfitToRecord } from '../measuring/index.ts';
import { drawingsOf } from './drawings.ts';
import { measureOverLink } from './link.ts';
import { measureMigration } from './measure.ts';
import { recordsIn } from './record.ts';
import { evaluationDocument, judgeRecords, rowText } from './report.ts';
import { Runner } from './runner.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const USAGE = `npm run experiments [-- NAME...] [options]
  --list      names and titles
  --smoke     small sizes, one repetition
  --repeat N  repetitions instead of each scenario's own
  --record    append the runs to results/, write docs/evaluation.md anew; not of a tree with
              changes, nor of a busy machine
  --force     record all the same
  --report    run nothing, write docs/evaluation.md from results/
`;

const root = fileURLToPath(new URL('../../../', import.meta.url));
const resultsOf = (name: string) => join(root, 'results', `${name}.jsonl`);

const recorded = recordsIn(join(root, 'results'));

function writeReport(): void {
  const drawings = drawingsOf(SCENARIOS, recorded);
  const folder = join(root, 'docs/evaluation');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { file, svg } of drawings) writeFileSync(join(folder, file), svg);
  writeFileSync(
    join(root, 'docs/evaluation.md'),
    evaluationDocument(SCENARIOS, recorded, drawings),
  );
}

interface Options {
  readonly smoke: boolean;
  readonly isRecording: boolean;
  readonly repetitions: number | undefined;
}

async function runAll(scenarios: readonly Scenario[], options: Options): Promise<void> {
  const { smoke, isRecording, repetitions = smoke ? 1 : undefined } = options;
  if (isRecording) mkdirSync(join(root, 'results'), { recursive: true });
  const machine = describeMachine();
  let image: Promise<LinuxImage> | undefined;
  const runner = new Runner({
    smoke,
    batch: new Date().toISOString(),
    machine: () => ({ ...machine, load: loadNow() }),
    kernelShapes: kernelShapes(),
    // Made, or refused, once.
    prepareLinux: () => {
      image ??= linuxImage(undefined, (line) => process.stderr.write(`${line}\n`));
      return image;
    },
    measure: measureMigration,
    measureOverLink,
    ...(repetitions === undefined ? {} : { repetitions }),
    onRecord(record) {
      const line = `${JSON.stringify(record)}\n`;
      process.stdout.write(line);
      if (isRecording) appendFileSync(resultsOf(record.scenario), line);
    },
  });
  for (const scenario of scenarios) {
    const records = await runner.run(scenario);
    process.stderr.write(`${rowText(scenario, judgeRecords(scenario, records))}\n`);
    if (isRecording) writeReport();
  }
}

/** Resolves to the exit code. */
async function main(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      list: { type: 'boolean' },
      smoke: { type: 'boolean', default: false },
      repeat: { type: 'string' },
      record: { type: 'boolean', default: false },
      force: { type: 'boolean' },
      report: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  const unknown = positionals.filter((name) => !SCENARIOS.some((known) => known.name === name));
  const repetitions = values.repeat === undefined ? undefined : Number(values.repeat);
  if (repetitions !== undefined && !(Number.isInteger(repetitions) && repetitions > 0)) {
    process.stderr.write(`--repeat takes a whole number above 0, not ${values.repeat}\n`);
    return 2;
  }
  if (unknown.length > 0) {
    process.stderr.write(`No such scenario: ${unknown.join(', ')}; --list names them\n`);
    return 2;
  }
  if (values.help) process.stdout.write(USAGE);
  else if (values.list) {
    for (const { number, name, title } of SCENARIOS) {
      process.stdout.write(`${String(number).padStart(2)} ${name.padEnd(18)} ${title}\n`);
    }
  } else if (values.report) writeReport();
  else {
    const unfit = values.record && !values.force ? unfitToRecord(describeMachine()) : undefined;
    if (unfit !== undefined) {
      process.stderr.write(`Not recorded. ${unfit}, or say --force\n`);
      return 2;
    }
    const chosen =
      positionals.length === 0
        ? SCENARIOS
        : SCENARIOS.filter(({ name }) => positionals.includes(name));
    await runAll(chosen, { smoke: values.smoke, isRecording: values.record, repetitions });
  }
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
