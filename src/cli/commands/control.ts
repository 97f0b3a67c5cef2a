import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import type { AddCommand, Run } from './command.ts';
import { type QmpOption, withAgent, withQmpOption } from './qmp-option.ts';

interface ResumeOptions extends QmpOption {
  readonly takeOwnership?: true;
}

/** The commands that are one QMP command each: they print nothing when it was accepted. */
export const addControlCommands: AddCommand = (program, context, run) => {
  addSimple(program, run, 'cancel', 'cancel the running migration', 'migrate_cancel');
  addSimple(program, run, 'pause', 'pause the guest (QMP stop)', 'stop');
  addSimple(program, run, 'quit', 'end the agent', 'quit');
  const resume = program.command('resume').summary('let the guest run (QMP cont)');
  withQmpOption(resume)
    .option(
      '--take-ownership',
      'after a lost switchover: this side has the guest, the other never runs it',
    )
    .action((options: ResumeOptions) => run(() => resumeGuest(context, options)));
};

function addSimple(program: Command, run: Run, name: string, summary: string, qmpCommand: string) {
  withQmpOption(program.command(name).summary(summary)).action((options: QmpOption) =>
    run(async () => {
      await withAgent(options.qmp, (qmp) => qmp.execute(qmpCommand));
      return EXIT_CODES.OK;
    }),
  );
}

async function resumeGuest(context: CliContext, options: ResumeOptions): Promise<ExitCode> {
  const takes = options.takeOwnership === true;
  await withAgent(options.qmp, async (qmp) => {
    const taken = await qmp.execute('cont', takes ? { 'x-take-ownership': true } : {});
    if (takes) {
      context.stderr.write(
        `The guest runs here${fromWhere(taken)}. Never start it at the other side: sterna quit there.\n`,
      );
    }
  });
  return EXIT_CODES.OK;
}

/** What the agent says that a guest goes on from that was taken back. */
function fromWhere(taken: unknown): string {
  const { 'x-resumed-from': from, 'x-point-age': ageMs } = (taken ?? {}) as Record<string, unknown>;
  if (from === 'switch') return ', from the moment of the switch';
  return from === 'point' ? `, from the last point of the journal (${String(ageMs)} ms old)` : '';
}
