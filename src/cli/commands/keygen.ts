import { collect, parseInteger, parsePath } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import type { AddCommand } from './command.ts';

interface KeygenOptions {
  readonly out: string;
  readonly host?: readonly string[];
  readonly peer: string;
  readonly days: number;
  readonly psk?: true;
  readonly force?: true;
}

const THIS_HOST = ['localhost', '127.0.0.1', '::1'];
/** Long enough to be forgotten, which is why the refusal of an expired one says what to do. */
const DAYS = 365;
const DAYS_MAX = 3650;

export const addKeygen: AddCommand = (program, context, run) => {
  program
    .command('keygen')
    .summary('make the keys that migrations between hosts need')
    .description(
      'Makes a certificate authority, and a certificate for each side, for --tls-dir; or with --psk a key for --psk-file.',
    )
    .requiredOption('--out <directory>', 'where the files go', parsePath)
    .option(
      '--host <name>',
      'name or address under which a source reaches a destination; may be repeated (default: this host)',
      collect((text) => text),
    )
    .option('--peer <name>', 'of the source, for --allow-peer', 'sterna-source')
    .option('--days <count>', 'that the certificates hold', parseInteger(1, DAYS_MAX), DAYS)
    .option('--psk', 'a pre-shared key instead of certificates')
    .option('--force', 'replace keys that are there')
    .action((options: KeygenOptions) => run(() => keygen(context, options)));
};

async function keygen(context: CliContext, options: KeygenOptions): Promise<ExitCode> {
  const { out, host = THIS_HOST, peer, days, psk, force } = options;
  const { writeKeySet } = await import('../../control/index.ts');
  const paths = await writeKeySet({
    directory: out,
    hosts: host,
    peer,
    kind: psk ? 'psk' : 'x509',
    validDays: days,
    force: force === true,
    nowMs: Date.now(),
  });
  for (const path of paths) context.stdout.write(`${path}\n`);
  return EXIT_CODES.OK;
}
