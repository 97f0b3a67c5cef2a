import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { checkGuest, describeCheck } from '../guest-check.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import type { AddCommand } from './command.ts';

export const addCheck: AddCommand = (program, context, run) => {
  const command = program
    .command('check')
    .summary("check the invariants of the guest's workload: a lost, stale or torn page shows");
  withQmpOption(command).action((options: QmpOption) => run(() => check(context, options)));
};

async function check(context: CliContext, options: QmpOption): Promise<ExitCode> {
  const result = await withAgent(options.qmp, checkGuest);
  context.stdout.write(`${describeCheck(result)}\n`);
  return result.ok ? EXIT_CODES.OK : EXIT_CODES.RAM_MISMATCH;
}
