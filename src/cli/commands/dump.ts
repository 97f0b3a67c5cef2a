import { createReadStream } from 'node:fs';
import { toSternaError } from '../../base/index.ts';
import { dumpStream } from '../../protocol/index.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import type { AddCommand } from './command.ts';

interface DumpOptions {
  readonly pages?: true;
  readonly strict?: true;
}

export const addDump: AddCommand = (program, context, run) => {
  program
    .command('dump')
    .summary('print a captured migration stream as text')
    .argument('<file>', 'what a migration to file:PATH wrote, or a capture of what a source sent')
    .option('--pages', 'one line for each page entry')
    .option('--strict', 'also check the order of messages, and stop at the first problem')
    .action((file: string, options: DumpOptions) => run(() => dump(context, file, options)));
};

async function dump(context: CliContext, file: string, options: DumpOptions): Promise<ExitCode> {
  const write = (line: string) => context.stdout.write(`${line}\n`);
  const { pages = false, strict = false } = options;
  // What is in the file never throws; that it cannot be read does.
  const reading = dumpStream(createReadStream(file), write, { pages, strict });
  const { problems } = await reading.catch((error: unknown) => {
    throw toSternaError(error, 'E_FILE', `Cannot read ${file}`);
  });
  const [first] = problems;
  if (first === undefined) return EXIT_CODES.OK;
  const more = problems.length === 1 ? '' : `, and ${problems.length - 1} more`;
  const { code, message, nextStep } = first.error;
  context.stderr.write(`sterna: ${message} at byte ${first.offset}${more} [${code}]\n`);
  context.stderr.write(`  next: ${nextStep}\n`);
  return EXIT_CODES.FAILED;
}
