import { spawnSync } from 'node:child_process';

/**
 * $1: bits per second; $2: the port whose traffic is shaped, or 0 when everything shares the link.
 * A network card has segments of a few KiB, loopback of 64: with those a message that is urgent
 * waits for milliseconds.
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

/**
 * A command line that runs COMMAND in a network namespace of its own, whose loopback is a link of
 * that rate: of all traffic, or of what goes to one port. It fails where the user may not make
 * namespaces, or the kernel has no HTB.
 */
export function inShapedNamespace(
  bytesPerSecond: number,
  command: readonly string[],
  port?: number,
): [command: string, args: string[]] {
  // A user who is not root is root of a namespace of users.
  const flags = process.getuid?.() === 0 ? ['--net'] : ['--map-root-user', '--net'];
  const script = `(${SHAPE}) 1>&2 && shift 2 && exec "$@"`;
  const rate = `${bytesPerSecond * 8}bit`;
  return ['unshare', [...flags, 'sh', '-c', script, 'sh', rate, String(port ?? 0), ...command]];
}

/** Whether the kernel shapes links here: namespaces, HTB and its filters. */
export function kernelShapes(): boolean {
  const [command, args] = inShapedNamespace(1e6, ['true'], 1);
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
