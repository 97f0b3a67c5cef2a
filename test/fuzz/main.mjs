// npm run fuzz -- [decoder|engine|port] [--seconds N] [--seed N]
// Runs the fuzz tests again and again, each time with the next seed, until the time is over or one fails.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = {
  decoder: ['test/fuzz/protocol'],
  engine: ['test/fuzz/engine'],
  port: ['test/fuzz/channel'],
};
/** Inputs of each property in one round: some seconds of work, so that the time given is kept about. */
const RUNS_PER_ROUND = 5000;
const USAGE = 'usage: npm run fuzz -- [decoder|engine|port] [--seconds N] [--seed N]';

const { folders, seconds, firstSeed } = readArguments();
const endMs = performance.now() + seconds * 1000;
let seed = firstSeed;
for (; seed === firstSeed || performance.now() < endMs; seed += 1) {
  const { code, output } = await round(seed);
  if (code === 0) continue;
  process.stdout.write(output);
  process.stderr.write(`fuzz: failed with seed ${seed}\n`);
  process.stderr.write(
    `  next: FUZZ_SEED=${seed} FUZZ_RUNS=${RUNS_PER_ROUND} npx vitest run ${folders.join(' ')}\n`,
  );
  process.exit(1);
}
process.stdout.write(
  `fuzz: ${seed - firstSeed} rounds, seeds ${firstSeed} to ${seed - 1}, no failure\n`,
);

function round(roundSeed) {
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--testTimeout=600000', ...folders],
    {
      cwd: root,
      env: {
        ...process.env,
        FUZZ_SEED: String(roundSeed),
        FUZZ_RUNS: process.env.FUZZ_RUNS ?? String(RUNS_PER_ROUND),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  child.stderr.on('data', (chunk) => chunks.push(chunk));
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seconds: { type: 'string', default: '60' },
        seed: { type: 'string', default: '1' },
      },
    });
    const chosen = positionals.length === 0 ? Object.keys(FOLDERS) : positionals;
    const known = chosen.every((name) => Object.hasOwn(FOLDERS, name));
    if (!known || !(Number(values.seconds) > 0) || !/^\d+$/.test(values.seed)) throw new Error('');
    return {
      folders: chosen.flatMap((name) => FOLDERS[name]),
      seconds: Number(values.seconds),
      firstSeed: Number(values.seed),
    };
  } catch (error) {
    process.stderr.write(`${error.message === '' ? '' : `fuzz: ${error.message}\n`}${USAGE}\n`);
    process.exit(2);
  }
}
