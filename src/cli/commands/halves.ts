import { silentLogger, systemClock } from '../../base/index.ts';
import { parsePath } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { type QmpOption, withAgent, withQmpOption } from '../options/qmp-option.ts';
import type { AddCommand } from './command.ts';

interface JoinOptions {
  readonly source: string;
  readonly destination: string;
  readonly out: string;
}

/** What `x-dump-half` replies. */
interface DumpReply {
  readonly epoch: number;
  readonly pages: number;
  readonly 'missing-pages': number;
}

/** For a guest in post-copy of which one side is gone for good. */
export const addHalves: AddCommand = (program, context, run) => {
  const dump = program
    .command('dump-half')
    .summary('write what a destination in post-copy has of its guest, which then stands still')
    .argument('<file>', 'to write', parsePath);
  withQmpOption(dump).action((file: string, options: QmpOption) =>
    run(() => dumpHalf(context, file, options)),
  );
  program
    .command('join-halves')
    .summary('make a migration file of the two halves of a guest')
    .requiredOption('--source <file>', 'the page spill of the source', parsePath)
    .requiredOption('--destination <file>', 'what dump-half wrote', parsePath)
    .requiredOption('--out <file>', 'to write; load it with destination --listen file:', parsePath)
    .action((options: JoinOptions) => run(() => joinHalves(context, options)));
};

async function dumpHalf(context: CliContext, file: string, options: QmpOption): Promise<ExitCode> {
  const reply = await withAgent(options.qmp, (qmp) =>
    qmp.execute('x-dump-half', { filename: file }),
  );
  // Our own agent's reply.
  const { epoch, pages, 'missing-pages': missing } = reply as unknown as DumpReply;
  context.stdout.write(
    `${pages} pages at epoch ${epoch}, ${missing} missing: ${file}\n` +
      'The guest stands still. It goes on with `sterna resume`, and then this file is of no use.\n',
  );
  return EXIT_CODES.OK;
}

async function joinHalves(context: CliContext, options: JoinOptions): Promise<ExitCode> {
  const { joinHalves: join } = await import('../../control/index.ts');
  const clock = systemClock();
  const joined = await join({ ...options, clock, log: silentLogger() });
  const { uuid, epoch, sourcePages, destinationPages } = joined;
  context.stdout.write(
    `Guest ${uuid} is whole: ${destinationPages} pages of the destination, ` +
      `${sourcePages} of the source, epoch ${epoch}.\n` +
      'End both old agents before you load the file: the guest must not run twice.\n',
  );
  return EXIT_CODES.OK;
}
