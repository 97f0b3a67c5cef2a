import { parseInteger, parseSeed } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { countHistory, noHistories, simulationPrinter } from '../report/simulation-report.ts';
import type { AddCommand } from './command.ts';

interface SimOptions {
  readonly seed?: number;
  readonly count?: number;
  readonly json?: true;
}

const COUNT_DEFAULT = 200;
const COUNT_MAX = 10_000_000;

export const addSim: AddCommand = (program, context, run) => {
  program
    .command('sim')
    .summary('simulate migrations with faults, each drawn from a seed, and check what must hold')
    .option('--seed <number>', 'of the first history; alone: replay that one', parseSeed)
    .option('--count <number>', `histories (default: ${COUNT_DEFAULT})`, parseInteger(1, COUNT_MAX))
    .option('--json', 'JSON lines')
    .action((options: SimOptions) => run(() => simulate(context, options)));
};

async function simulate(context: CliContext, options: SimOptions): Promise<ExitCode> {
  // Only this command needs the engines; the others start faster without them.
  const { runHistory } = await import('../../experiments/simulation/index.ts');
  const first = options.seed ?? 1;
  const count = options.count ?? (options.seed === undefined ? COUNT_DEFAULT : 1);
  const print = simulationPrinter(context, options.json ? 'json' : count === 1 ? 'replay' : 'text');
  const totals = noHistories();
  let interrupted = false;
  const ignore = context.onInterrupt(() => {
    interrupted = true;
  });
  for (let seed = first; seed < first + count && !interrupted; seed += 1) {
    const result = await runHistory({ seed });
    countHistory(totals, result);
    print.history(result);
  }
  ignore();
  print.summary(totals);
  if (totals.failedHistories > 0) return EXIT_CODES.FAILED;
  return interrupted ? EXIT_CODES.CANCELLED : EXIT_CODES.OK;
}
