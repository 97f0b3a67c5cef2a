import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, SternaError } from '../../base/index.ts';
import { sternaExecutable } from '../agent-process.ts';

/** What a Linux guest boots from. */
export interface LinuxImage {
  readonly kernel: string;
  readonly initrd: string;
}

/** With what the experiments run inside, and a shell on the console. */
const PACKAGES = ['redis-server', 'sqlite3'];
const INIT = 'console';
/** Another one whenever what is in it changes: an image of before must not be taken. */
const VERSION = 3;

/**
 * The image of Debian that demo, benches and experiments boot, from the cache of this user; made
 * there by `sterna image debian` when it is missing, whose lines go to `onLine`. The environment
 * may name another one: STERNA_LINUX_IMAGE, a directory with Image and initrd.cpio. Without one the
 * maker has that of this process. Rejects with
 * E_FILE and what that printed last.
 */
export async function linuxImage(
  environment: Readonly<Record<string, string | undefined>> | undefined,
  onLine: (line: string) => void = () => {},
): Promise<LinuxImage> {
  const { STERNA_LINUX_IMAGE: own } = environment ?? {};
  const directory = own || join(cacheDirectory(environment ?? {}), 'images', `demo-${VERSION}`);
  const image = { kernel: join(directory, 'Image'), initrd: join(directory, 'initrd.cpio') };
  if (existsSync(image.kernel) && existsSync(image.initrd)) return image;
  if (own) throw new SternaError('E_FILE', `There is no Image with its initrd.cpio in ${own}`);
  await makeImage(directory, environment, onLine);
  return image;
}

async function makeImage(
  directory: string,
  environment: Readonly<Record<string, string | undefined>> | undefined,
  onLine: (line: string) => void,
): Promise<void> {
  const packages = PACKAGES.join(',');
  const maker = spawn(
    process.execPath,
    [
      ...[sternaExecutable(), 'image', 'debian', '--packages', packages],
      ...['--init', INIT, '--out', directory],
    ],
    {
      ...(environment === undefined ? {} : { env: environment }),
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const lines: string[] = [];
  maker.stderr.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n').filter((each) => each !== '')) {
      lines.push(line);
      onLine(line);
    }
  });
  const [code] = await once(maker, 'close');
  if (code === 0) return;
  throw new SternaError('E_FILE', 'The image of the Linux guest could not be made', {
    detail: { code, said: lines.slice(-5) },
  });
}
