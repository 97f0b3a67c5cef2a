import { CommanderError, InvalidArgumentError } from 'commander';
import { cacheDirectory } from '../../base/index.ts';
import { parsePath } from '../arguments.ts';
import type { AddCommand } from '../commands/command.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';

interface DebianOptions {
  readonly packages: readonly string[];
  readonly init: string;
  readonly out: string;
  readonly suite: string;
  readonly cache?: string;
  readonly offline?: true;
  readonly mirror?: string;
  readonly gzip?: true;
  readonly json?: true;
}

const SUITE = 'trixie';
const INIT = 'console';

export const addImage: AddCommand = (program, context, run) => {
  const image = program
    .command('image')
    .summary('make a kernel and an initrd for the RISC-V machine');
  image
    .command('debian')
    .summary("from Debian's packages, on Debian or in a container of it")
    .description(
      "Makes Image, initrd.cpio and manifest.json of Debian's riscv64 packages with the host's apt-get and dpkg-deb, without root. Signatures are checked; scripts of packages are not run.",
    )
    .option(
      '--packages <names>',
      'to put in, with commas between; what they need comes along',
      parsePackages,
      [],
    )
    .option(
      '--init <name|file>',
      'what the guest runs: console, redis-load, redis-benchmark, sqlite, self-test, sqlite-load, stream, idle, or a script of yours',
      INIT,
    )
    .requiredOption('--out <directory>', 'where the image goes', parsePath)
    .option('--suite <name>', 'of Debian', parseSuite, SUITE)
    .option('--cache <directory>', 'of lists and packages (default: ~/.cache/sterna)', parsePath)
    .option('--offline', 'only what the cache has')
    .option('--mirror <url>', "of Debian (default: the host's)", parseMirror)
    .option('--gzip', 'compress the initrd: initrd.cpio.gz')
    .option('--json', 'progress and result as JSON lines on standard output')
    .action((options: DebianOptions) => run(() => debian(context, options)));
};

async function debian(context: CliContext, options: DebianOptions): Promise<ExitCode> {
  const { packages, init, out, suite, offline, mirror, gzip, json } = options;
  if (offline && mirror !== undefined) {
    throw new CommanderError(2, 'image.conflict', '--offline asks no mirror: leave --mirror out');
  }
  const { makeDebianImage } = await import('./debian-image.ts');
  const { ImageProgress } = await import('./image-progress.ts');
  const { ToolRunner } = await import('./tool-run.ts');
  const interrupt = new AbortController();
  const restore = context.onInterrupt(() => interrupt.abort());
  try {
    const paths = await makeDebianImage(
      {
        ...{ packages, init, out, suite, mirror },
        cache: options.cache ?? cacheDirectory(context.environment),
        offline: offline === true,
        gzip: gzip === true,
      },
      new ToolRunner(context.environment, interrupt.signal),
      new ImageProgress(json ? context.stdout : context.stderr, json === true),
    );
    const result = json ? `${JSON.stringify({ event: 'result', files: paths })}` : paths.join('\n');
    context.stdout.write(`${result}\n`);
    return EXIT_CODES.OK;
  } finally {
    restore();
  }
}

/** Names as Debian's policy has them, each perhaps with `=VERSION`. */
function parsePackages(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !/^[a-z0-9][a-z0-9.+-]+(=[A-Za-z0-9.+:~-]+)?$/.test(name));
  if (wrong !== undefined) {
    throw new InvalidArgumentError('Expected names of packages, such as redis-server,sqlite3.');
  }
  return [...new Set(names)];
}

function parseSuite(text: string): string {
  if (!/^[a-z][a-z0-9.-]*$/.test(text)) {
    throw new InvalidArgumentError('Expected a suite of Debian, such as trixie.');
  }
  return text;
}

function parseMirror(text: string): string {
  // Blanks and brackets would end the line that it is written into.
  if (!/^(https?:\/\/|file:\/)[^\s[\]"#]+$/.test(text)) {
    throw new InvalidArgumentError('Expected a URL of http, https or file.');
  }
  return text;
}
