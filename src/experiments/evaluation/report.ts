import { rounded } from '../measuring/index.ts';
import type { Drawing } from './drawings.ts';
import type { Verdict } from './judge.ts';
import { failuresOf, type RecordsOf, type RunRecord, runsOf } from './record.ts';
import type { Scenario } from './scenario.ts';

/** A row: the verdict, or why there is none. */
export type RowResult =
  | { readonly verdict: Verdict; readonly failures: readonly string[] }
  | { readonly notRun: string };

/** What RECORDS, all of one batch, say of the scenario. Pure. */
export function judgeRecords(scenario: Scenario, records: readonly RunRecord[]): RowResult {
  if (records.length === 0) return { notRun: 'not measured yet' };
  const failures = failuresOf(records);
  const hasRuns = records.some(({ result }) => !('failure' in result));
  if (!hasRuns) return { notRun: failures.join('; ') };
  const verdict = scenario.judge(runsOf(records));
  if (records.some(({ smoke }) => smoke)) {
    const note = 'smoke sizes: nothing is claimed of them';
    return { verdict: { ...verdict, direction: 'none', ratio: 'none', note }, failures };
  }
  const damaged = records.filter(({ result }) => isDamaged(result)).length;
  return { verdict: damaged === 0 ? verdict : spoiled(verdict, damaged), failures };
}

/** Whether a guest arrived with another RAM than it left with, or nobody looked. */
function isDamaged(result: RunRecord['result']): boolean {
  return !('failure' in result) && result.status === 'completed' && result.verify !== 'identical';
}

function spoiled(verdict: Verdict, damaged: number): Verdict {
  const note = `the RAM of both sides was not found equal in ${damaged} runs`;
  return { ...verdict, direction: 'does not hold', ratio: 'does not hold', note };
}

/** One line for a terminal. */
export function rowText(scenario: Scenario, result: RowResult): string {
  const head = `${scenario.number} ${scenario.name}`;
  if ('notRun' in result) return `${head}: not run: ${result.notRun}`;
  const { ours, direction, ratio, note = '' } = result.verdict;
  const failed =
    result.failures.length === 0 ? '' : ` (failed runs: ${result.failures.join('; ')})`;
  return `${head}: ${ours}; direction: ${direction}; ratio: ${ratio}${note && ` (${note})`}${failed}`;
}

/** The whole of docs/evaluation.md. Pure. */
export function evaluationDocument(
  scenarios: readonly Scenario[],
  recordsOf: RecordsOf,
  drawings: readonly Drawing[],
): string {
  const all = scenarios.flatMap(({ name }) => [...recordsOf(name)]);
  return [
    '# Evaluation',
    '',
    INTRODUCTION,
    '',
    machineText(all),
    '',
    '| # | Scenario | Published | Ours | Direction | Ratio |',
    '| --- | --- | --- | --- | --- | --- |',
    ...scenarios.map((scenario) => tableRow(scenario, recordsOf(scenario.name))),
    '',
    '## Plots',
    '',
    ...drawings.flatMap(({ file, caption }) => [
      caption,
      '',
      `![${caption}](evaluation/${file})`,
      '',
    ]),
    '## Settings',
    '',
    ...scenarios.flatMap((scenario) => settingsText(scenario, recordsOf(scenario.name))),
  ]
    .join('\n')
    .concat('\n');
}

const INTRODUCTION = `The published experiments on live migration, repeated at a size that two cores and minutes allow: \`npm run experiments\` runs
them all, \`npm run experiments -- NAME\` one, \`--list\` names them, \`--record\` writes the runs to \`results/\` and this page
anew. What is compared was measured in the same command, by turns. A link is a queue of the kernel with that rate, in a network
namespace of its own; sizes and rates are chosen so that what decides, the rate at which memory is dirtied over the rate of
the link, is as in the publication where that is known. Absolute figures are therefore not comparable, directions and ratios are.
Experiments with disks have no row (13 to 15), and failures are tested instead of measured (20).

The *downtime* is the larger of two: from the pause at the source to the start at the destination, and the gap that the guest itself
noticed. Figures are medians, with the smallest and the largest of all repetitions in brackets. A row does not hold
when the RAM of both sides was not equal after any of its runs. *Direction*: it becomes better where the publication says so. *Ratio*: the criterion named under
Settings. A row that does not hold stays.`;

/** With `-dirty` where the tree had more than the commit. */
function commitOf({ machine: { commit, dirty } }: RunRecord): string {
  return dirty ? `${commit}-dirty` : commit;
}

function machineText(records: readonly RunRecord[]): string {
  const [first] = records;
  if (first === undefined) return 'Nothing was measured yet.';
  const { machine } = first;
  const loads = records.map((record) => record.machine.load);
  const commits = [...new Set(records.map((record) => commitOf(record)))].join(', ');
  const range = `${rounded(Math.min(...loads))} to ${rounded(Math.max(...loads))}`;
  return `Measured on ${machine.cores} cores (${machine.cpu}), ${Math.round(machine.memoryBytes / 2 ** 30)} GiB, Node ${machine.node.slice(1)}, at commit ${commits}. The load of the machine, our own runs included, was ${range}: above ${machine.cores + 2} it was busy with other work, which shows in what takes milliseconds.`;
}

function tableRow(scenario: Scenario, records: readonly RunRecord[]): string {
  const result = judgeRecords(scenario, records);
  const cells =
    'notRun' in result
      ? [`not run: ${result.notRun}`, '-', '-']
      : [oursText(result), mark(result.verdict.direction), mark(result.verdict.ratio)];
  const { number, title, name, published, source } = scenario;
  return `| ${[number, `${title} (\`${name}\`)`, `${published} (${source})`, ...cells].map(cell).join(' | ')} |`;
}

function oursText({ verdict, failures }: Extract<RowResult, { verdict: Verdict }>): string {
  const note = verdict.note === undefined ? '' : `. ${capital(verdict.note)}`;
  const failed = failures.length === 0 ? '' : `. Runs that failed: ${failures.join('; ')}`;
  return `${verdict.ours}${note}${failed}`;
}

function mark(holds: Verdict['direction']): string {
  if (holds === 'none') return '-';
  return holds === 'holds' ? 'holds' : '**does not hold**';
}

function settingsText(scenario: Scenario, records: readonly RunRecord[]): string[] {
  const { number, name, settings, criterion } = scenario;
  const runs = Math.max(0, ...records.map(({ repetition }) => repetition));
  const smoke = records.some((record) => record.smoke) ? ' (smoke sizes)' : '';
  return [
    `- **${number} \`${name}\`**: ${settings}. Criterion: ${criterion}. Repetitions: ${runs}${smoke}.`,
  ];
}

function cell(value: string | number): string {
  return String(value).replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
