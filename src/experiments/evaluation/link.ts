import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SternaError } from '../../base/index.ts';
import type { Figures } from './figures.ts';
import { SHAPED_PORT } from './measure.ts';
import type { MigrationSpec } from './scenario.ts';

/**
 * $1: bits per second; $2: the port of the migration, or 0 when everything shares the link. A
 * network card has segments of a few KiB, loopback of 64: with those a message that is urgent waits
 * for milliseconds.
 */
const SHAPE = `
ip link set lo mtu 1500 gso_max_segs 4 gso_max_size 8192 && ip link set lo up &&
if [ "$2" = 0 ]; then class=1; else class=2; fi &&
tc qdisc add dev lo root handle 1: htb default $class &&
tc class add dev lo parent 1: classid 1:1 htb rate "$1" burst 16k cburst 16k quantum 6000 &&
tc class add dev lo parent 1: classid 1:2 htb rate 20gbit burst 1m cburst 1m quantum 60000 &&
if [ "$2" != 0 ]; then
  tc filter add dev lo parent 1: protocol ip u32 match ip dport "$2" 0xffff flowid 1:1
fi`;

/** A run ends by itself long before. */
const LIMIT_MS = 400_000;

/** Whether the kernel shapes links here: namespaces, HTB and its filters. */
export function kernelShapes(): boolean {
  const [command, flags] = inNamespace(1e6, false, ['true']);
  return spawnSync(command, flags, { stdio: 'ignore' }).status === 0;
}

/**
 * Runs SPEC in a process and a network namespace of its own, over a link of its rate. Rejects with
 * what that process said.
 */
export async function measureOverLink(spec: MigrationSpec): Promise<Figures> {
  const program = fileURLToPath(
    // The path is the same seen from `src/` and from `dist/`.
    new URL('../../../dist/experiments/evaluation/run-main.js', import.meta.url),
  );
  const [command, flags] = inNamespace(
    spec.linkBytesPerSecond ?? 0,
    spec.clientsShareLink ?? false,
    [process.execPath, program, JSON.stringify(spec)],
  );
  const child = spawn(command, flags, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => errors.push(bytes));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0) return JSON.parse(Buffer.concat(output).toString()) as Figures;
  const said = Buffer.concat(errors).toString().trim();
  throw new SternaError('E_STATE', said.split('\n').at(-1) ?? 'The run ended', {
    detail: { code, said },
  });
}

function inNamespace(
  bytesPerSecond: number,
  isShared: boolean,
  command: readonly string[],
): [string, string[]] {
  // A user who is not root is root of a namespace of users.
  const flags = process.getuid?.() === 0 ? ['--net'] : ['--map-root-user', '--net'];
  const script = `(${SHAPE}) 1>&2 && shift 2 && exec "$@"`;
  const port = isShared ? '0' : String(SHAPED_PORT);
  const rate = `${bytesPerSecond * 8}bit`;
  return ['unshare', [...flags, 'sh', '-c', script, 'sh', rate, port, ...command]];
}
