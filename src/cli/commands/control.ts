import type { Command } from 'commander';
import { SternaError } from '../../base/index.ts';
import type { QmpClient } from '../../control/client/index.ts';
import { parseMigrationUri } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { listenAddress, readMigration } from '../migration/migration-view.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import type { AddCommand, Run } from './command.ts';

interface ResumeOptions extends QmpOption {
  readonly takeOwnership?: true;
}

/** The commands that are one QMP command each; most print nothing when it was accepted. */
export const addControlCommands: AddCommand = (program, context, run) => {
  addSimple(program, run, 'cancel', 'cancel the running migration', 'migrate_cancel');
  addSimple(program, run, 'postcopy', 'switch to post-copy now', 'migrate-start-postcopy');
  addSimple(program, run, 'pause-migration', 'break the link of post-copy', 'migrate-pause');
  addSimple(program, run, 'pause', 'pause the guest (QMP stop)', 'stop');
  addSimple(program, run, 'quit', 'end the agent', 'quit');
  addRecover(program, context, run);
  const resume = program.command('resume').summary('let the guest run (QMP cont)');
  withQmpOption(resume)
    .option(
      '--take-ownership',
      'the other side has no guest, and never will: this side runs it (as sterna recover does)',
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

function addRecover(program: Command, context: CliContext, run: Run): void {
  const command = program
    .command('recover')
    .summary('go on with a post-copy whose link was lost')
    .description(
      'At a destination: waits for the source at URI, or where it waits now, and prints where. ' +
        'At a source: connects again, to URI if it is given; or, without URI, takes the guest back.',
    )
    .argument('[uri]', 'tcp:HOST:PORT', parseMigrationUri);
  withQmpOption(command)
    .option('--take-ownership', 'the other side has no guest, and never will: this side runs it')
    .action((uri: string | undefined, options: ResumeOptions) =>
      run(() => recover(context, uri, options)),
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

async function recover(
  context: CliContext,
  uri: string | undefined,
  options: ResumeOptions,
): Promise<ExitCode> {
  if (options.takeOwnership === true) {
    if (uri === undefined) return resumeGuest(context, options);
    const text = '--take-ownership gives the other side up, and connects to no URI';
    throw new SternaError('E_CONFIG_INVALID', text, { detail: { uri } });
  }
  await withAgent(options.qmp, async (qmp) => {
    const reply = await qmp.execute('query-migrate');
    if (readMigration(reply).side === 'destination') {
      await qmp.execute('migrate-recover', { uri: uri ?? knownAddress(reply) });
      context.stdout.write(`${await placeOf(qmp)}\n`);
      return;
    }
    await qmp.execute('migrate', { resume: true, ...(uri === undefined ? {} : { uri }) });
  });
  return EXIT_CODES.OK;
}

function knownAddress(reply: unknown): string {
  const address = listenAddress(reply);
  if (address !== undefined) return address;
  throw new SternaError('E_CONFIG_INVALID', 'This agent does not listen yet: say where with URI');
}

/** With the port that it has got. */
async function placeOf(qmp: QmpClient): Promise<string> {
  return knownAddress(await qmp.execute('query-migrate'));
}

/** What the agent says that a guest goes on from that was taken back. */
function fromWhere(taken: unknown): string {
  const { 'x-resumed-from': from, 'x-point-age': ageMs } = (taken ?? {}) as Record<string, unknown>;
  if (from === 'switch') return ', from the moment of the switch';
  return from === 'point' ? `, from the last point of the journal (${String(ageMs)} ms old)` : '';
}
