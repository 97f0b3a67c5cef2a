import { SternaError } from '../../base/index.ts';
import { LinuxPair, linuxImage } from '../../experiments/index.ts';
import { parseRam } from '../arguments.ts';
import type { CliContext } from '../context.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { runMigration } from '../migration/run-migration.ts';
import type { AddCommand } from './command.ts';
import { printOutcome } from './migrate.ts';

interface DemoLinuxOptions {
  readonly ram: number;
}

const RAM_BYTES = 256 * 2 ** 20;
/** An image is made, or a kernel booted, on a host that is slow or busy. */
const BOOT_LIMIT_MS = 300_000;
const LOAD_LIMIT_MS = 120_000;

export const addDemoLinux: AddCommand = (program, context, run) => {
  program
    .command('demo-linux')
    .summary("boot Debian's Linux, load a redis inside, and move it there and back")
    .description(
      "Makes an image of Debian's riscv64 packages if there is none yet (STERNA_LINUX_IMAGE names another), boots it, starts redis and a writing load on its console, and migrates it to another process and back while that runs.",
    )
    .option('--ram <size>', 'of the guest', parseRam, RAM_BYTES)
    .action((options: DemoLinuxOptions) => run(() => demoLinux(context, options)));
};

async function demoLinux(context: CliContext, { ram }: DemoLinuxOptions): Promise<ExitCode> {
  const say = (text: string) => context.stdout.write(`\n==> ${text}\n`);
  const image = await linuxImage(context.environment, (line) => say(line));
  say(`Boots ${image.kernel} at the source`);
  const pair = await LinuxPair.start({
    image,
    ram: String(ram),
    onBytes: (bytes) => context.stdout.write(bytes.toString('latin1')),
  });
  const restore = context.onInterrupt(() => void pair.close());
  try {
    await pair.source.until(/sterna: console ready/, BOOT_LIMIT_MS);
    await pair.source.until(/# $|\[6n/, BOOT_LIMIT_MS);
    pair.source.type('. /sterna/init/redis-load\n');
    await pair.source.until(/load \d+ ok/, LOAD_LIMIT_MS);
    say(`Migrates the guest to process ${pair.agents.destination.pid} while redis is written`);
    await move(context, pair, 'there');
    say(`Migrates it back to process ${pair.agents.source.pid}`);
    await move(context, pair, 'back');
    pair.source.type('stop\n');
    await pair.source.until(/sterna: redis-load (ok|BAD)/, LOAD_LIMIT_MS);
    return conclude(pair, say);
  } finally {
    restore();
    await pair.close();
  }
}

async function move(context: CliContext, pair: LinuxPair, way: 'there' | 'back'): Promise<void> {
  const { sourceQmp, destinationQmp, uri } = pair.agents;
  const [from, line] =
    way === 'there' ? [sourceQmp, pair.destination] : [destinationQmp, pair.source];
  const to = way === 'there' ? uri : await listenAgain(pair);
  const before = line.text.length;
  const request = { uri: to, mode: 'precopy', timeoutAction: 'suspend', verify: 'after' } as const;
  const ended = await runMigration(context, from, request, { json: false, verbose: false });
  printOutcome(context, ended, false);
  const { view } = ended;
  if (view.status !== 'completed' || view.verify.status !== 'identical') {
    throw new SternaError('E_VERIFY_MISMATCH', `The guest did not get ${way} whole`, {
      detail: { status: view.status, verify: view.verify.status },
    });
  }
  await line.until(new RegExp(`^[^]{${before}}[^]*load \\d+ ok`), LOAD_LIMIT_MS);
}

/** The source that gave its guest away waits for it to come back. */
async function listenAgain({ agents: { sourceQmp } }: LinuxPair): Promise<string> {
  await sourceQmp.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
  const { 'socket-address': [address] = [] } = (await sourceQmp.execute('query-migrate')) as {
    'socket-address'?: { host: string; port: string }[];
  };
  if (address === undefined) throw new SternaError('E_STATE', 'The source does not listen');
  return `tcp:${address.host}:${address.port}`;
}

function conclude(pair: LinuxPair, say: (text: string) => void): ExitCode {
  const printed = pair.source.text + pair.destination.text;
  const rounds = printed.match(/load \d+ ok/g)?.length ?? 0;
  const bad = printed.match(/load \d+ BAD|redis-load BAD/g)?.length ?? 0;
  say(`The load told ${rounds} times that all keys were right, ${bad} times that some were not`);
  say('RAM was identical after each migration');
  if (bad > 0) throw new SternaError('E_VERIFY_MISMATCH', 'The load inside the guest failed');
  return EXIT_CODES.OK;
}
