import { SternaError } from '../../base/index.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { type DirtyRateView, readDirtyRate } from '../migration/dirty-rate-view.ts';
import { hasEnded, type MigrationView, readMigration } from '../migration/migration-view.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import { dirtyRateLine, jobInfoLines, line } from '../report/job-info.ts';
import type { AddCommand } from './command.ts';

interface InfoOptions extends QmpOption {
  readonly completed?: true;
  readonly json?: true;
}

export const addInfo: AddCommand = (program, context, run) => {
  const command = program
    .command('info')
    .summary('show the migration of an agent, with the labels of virsh domjobinfo');
  withQmpOption(command)
    .option('--completed', 'only a migration that has ended')
    .option('--json', 'the reply of query-migrate as it is')
    .action((options: InfoOptions) => run(() => info(context, options)));
};

async function info(context: CliContext, options: InfoOptions): Promise<ExitCode> {
  const { reply, rate } = await withAgent(options.qmp, async (qmp) => ({
    reply: await qmp.execute('query-migrate'),
    rate: options.json ? undefined : readDirtyRate(await qmp.execute('query-dirty-rate')),
  }));
  const view = readMigration(reply);
  if (options.completed && !hasEnded(view)) {
    throw new SternaError('E_STATE', 'No migration of this agent has ended', {
      detail: { status: view.status },
    });
  }
  if (options.json) context.stdout.write(`${JSON.stringify(reply)}\n`);
  else context.stdout.write(`${infoLines(view, rate).join('\n')}\n`);
  return EXIT_CODES.OK;
}

function infoLines(view: MigrationView, rate: DirtyRateView | undefined): string[] {
  const job = view.status === 'none' ? [line('Job type', 'None')] : jobInfoLines(view);
  return rate === undefined ? job : [...job, dirtyRateLine(rate)];
}
