import { SternaError } from '../../base/index.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { hasEnded, readMigration } from '../migration/migration-view.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import { jobInfoLines } from '../report/job-info.ts';
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
  const reply = await withAgent(options.qmp, (qmp) => qmp.execute('query-migrate'));
  const view = readMigration(reply);
  if (options.completed && !hasEnded(view)) {
    throw new SternaError('E_STATE', 'No migration of this agent has ended', {
      detail: { status: view.status },
    });
  }
  if (options.json) context.stdout.write(`${JSON.stringify(reply)}\n`);
  else if (view.status === 'none') context.stdout.write('Job type:         None\n');
  else context.stdout.write(`${jobInfoLines(view).join('\n')}\n`);
  return EXIT_CODES.OK;
}
