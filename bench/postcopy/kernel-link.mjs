// A run in post-copy over a link of a given rate that the kernel shapes: both agents live in a network namespace of their
// own, whose loopback is a queue of that rate with segments of a few KiB, as a network card's. Run as a program it is that
// side:   node kernel-link.mjs '{"ram":…}'   prints what the destination says of its faults.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inShapedNamespace } from '../../dist/experiments/measuring/index.js';
import { faultsOf, postcopyRun } from './run.mjs';

const LIMIT_MS = 180_000;

/** What the guest waited for. Throws what went wrong. */
export function runOverKernelLink(bytesPerSecond, spec) {
  const file = fileURLToPath(import.meta.url);
  const command = [process.execPath, file, JSON.stringify(spec)];
  const [program, args] = inShapedNamespace(bytesPerSecond, command);
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  if (status !== 0) throw new Error(`Run over a shaped link failed: ${stderr}`);
  return JSON.parse(stdout);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { destination } = await postcopyRun(JSON.parse(process.argv[2]));
  process.stdout.write(JSON.stringify(faultsOf(destination)));
}
