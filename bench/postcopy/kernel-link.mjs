// A run in post-copy over a link of a given rate that the kernel shapes: both agents live in a network namespace of their
// own, whose loopback is a queue of that rate with segments of a few KiB, as a network card's. Run as a program it is that
// side:   node kernel-link.mjs '{"ram":…}'   prints what the destination says of its faults.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { faultsOf, postcopyRun } from './run.mjs';

/** $1: bits per second. Fails where the user may not make namespaces, or there is no HTB. */
const SHAPE = `
ip link set lo mtu 1500 gso_max_segs 4 gso_max_size 8192 && ip link set lo up &&
tc qdisc add dev lo root handle 1: htb default 1 &&
tc class add dev lo parent 1: classid 1:1 htb rate "$1" burst 16k cburst 16k quantum 6000`;
const LIMIT_MS = 180_000;

function inNamespace(bytesPerSecond, command) {
  // A user who is not root is root of a namespace of users.
  const flags = process.getuid() === 0 ? ['--net'] : ['--map-root-user', '--net'];
  const script = `(${SHAPE}) 1>&2 && shift && exec "$@"`;
  const rate = `${bytesPerSecond * 8}bit`;
  return spawnSync('unshare', [...flags, 'sh', '-c', script, 'sh', rate, ...command], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
}

/** Whether this machine lets the kernel shape. */
export function kernelShapes() {
  return inNamespace(1e6, ['true']).status === 0;
}

/** What the guest waited for. Throws what went wrong. */
export function runOverKernelLink(bytesPerSecond, spec) {
  const file = fileURLToPath(import.meta.url);
  const command = [process.execPath, file, JSON.stringify(spec)];
  const { status, stdout, stderr } = inNamespace(bytesPerSecond, command);
  if (status !== 0) throw new Error(`Run over a shaped link failed: ${stderr}`);
  return JSON.parse(stdout);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { destination } = await postcopyRun(JSON.parse(process.argv[2]));
  process.stdout.write(JSON.stringify(faultsOf(destination)));
}
