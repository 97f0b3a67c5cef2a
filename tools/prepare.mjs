// Installs the packages and builds `dist/` when they are missing or older than what they are made from.
// Plain JavaScript, because it runs before anything is installed.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const force = process.argv.includes('--force');
const stamp = join(root, 'dist', '.built');
const installed = join(root, 'node_modules', '.package-lock.json');

/**
 * Wasm modules: AssemblyScript entry -> file in dist, and what else it is made from. Flags are
 * explained in src/guestmem/kernels/README.md.
 */
const WASM_MODULES = [
  ['src/guestmem/kernels/page-kernels.ts', 'dist/guestmem/page-kernels.wasm'],
  ['src/guest/programs/workload-programs.ts', 'dist/guest/workload-programs.wasm'],
  ['src/guest/riscv/hart/hart.ts', 'dist/guest/riscv-hart.wasm', 'src/guest/riscv/float'],
  ['src/guest/riscv/float/float.ts', 'dist/guest/riscv-float.wasm'],
];
const ASC_FLAGS = [
  '-O3',
  '--runtime',
  'stub',
  '--noAssert',
  '--importMemory',
  '--sharedMemory',
  '--initialMemory',
  '1',
  '--maximumMemory',
  '65536',
  '--enable',
  'simd',
  '--enable',
  'threads',
  '--enable',
  'bulk-memory',
];

function newestMs(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce(
    (newest, name) => Math.max(newest, newestMs(join(path, name))),
    stat.mtimeMs,
  );
}

function run(command, args) {
  execFileSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
  });
}

function builtMs(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

if (builtMs(installed) < builtMs(join(root, 'package-lock.json'))) {
  process.stderr.write('Installing packages...\n');
  // Not `npm ci`: it refuses a lock file that lacks the optional packages of other platforms. The
  // lock is followed all the same, and not rewritten.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund']);
  utimesSync(installed, new Date(), new Date());
}

const inputsMs = Math.max(
  ...['src', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'tools/prepare.mjs'].map((p) =>
    newestMs(join(root, p)),
  ),
);
if (force || builtMs(stamp) < inputsMs) {
  process.stderr.write('Building...\n');
  const startedAt = new Date();
  if (force) rmSync(join(root, 'dist'), { recursive: true, force: true });
  for (const [entry, output, ...folders] of WASM_MODULES) {
    if (!existsSync(join(root, entry))) continue;
    if (
      !force &&
      ['src/guestmem', dirname(entry), ...folders].every(
        (folder) => builtMs(join(root, output)) > newestMs(join(root, folder)),
      )
    )
      continue;
    mkdirSync(join(root, dirname(output)), { recursive: true });
    run(process.execPath, [
      join(root, 'node_modules/assemblyscript/bin/asc.js'),
      entry,
      '-o',
      output,
      ...ASC_FLAGS,
    ]);
  }
  // Emits only: types are checked by `npm run check`, in one place.
  run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.build.json',
    '--noCheck',
  ]);
  cpSync(join(root, 'package.json'), join(root, 'dist/package.json'));
  // Scripts of guests, which are data to the program that puts them into an image.
  cpSync(join(root, 'src/cli/image/init'), join(root, 'dist/cli/image/init'), { recursive: true });
  writeFileSync(stamp, `${startedAt.toISOString()}\n`);
  // A file edited while the build ran must count as newer than the build.
  utimesSync(stamp, startedAt, startedAt);
}
