// Everything that CI checks, in the order of how soon it fails. Stops at the first failure.
//   --without-tests: for .ci/run, which runs the tests itself to count them.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = (path) => join(root, 'node_modules', path);

const steps = [
  {
    name: 'build',
    remedy: 'node tools/prepare.mjs',
    file: join(root, 'tools/prepare.mjs'),
    arguments: [],
  },
  {
    name: 'types',
    remedy: 'npm run types',
    file: modules('typescript/bin/tsc'),
    arguments: ['--noEmit', '-p', 'tsconfig.json'],
  },
  {
    name: 'lint',
    remedy: 'npm run format, then npm run lint',
    file: modules('@biomejs/biome/bin/biome'),
    arguments: ['ci', '.'],
  },
  { name: 'tests', remedy: 'npm test', file: modules('vitest/vitest.mjs'), arguments: ['run'] },
  {
    name: 'bench smoke',
    remedy: 'node bench/main.mjs --smoke',
    file: join(root, 'bench/main.mjs'),
    arguments: ['--smoke'],
  },
].filter((step) => step.name !== 'tests' || !process.argv.includes('--without-tests'));

/** The longest step several times over: what hangs is a failure, and must be seen to be one. */
const LIMIT_MS = 40 * 60_000;

for (const step of steps) {
  if (step.name === 'bench smoke' && !existsSync(step.file)) continue;
  process.stderr.write(`check: ${step.name}\n`);
  const startedMs = performance.now();
  const { status, signal } = spawnSync(process.execPath, [step.file, ...step.arguments], {
    cwd: root,
    stdio: 'inherit',
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (status !== 0) {
    process.stderr.write(
      `check: ${step.name} FAILED (${signal ?? `exit code ${status}`}, ${seconds} s)\n`,
    );
    process.stderr.write(`  next: ${step.remedy}\n`);
    process.exit(1);
  }
  process.stderr.write(`check: ${step.name} passed (${seconds} s)\n`);
}
