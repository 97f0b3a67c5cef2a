import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

/** Builds the guests of test/guests/riscv, each once for as long as nothing of them changes. */

const COMPILER = 'riscv64-unknown-elf-gcc';
const REMEDY = `${COMPILER} is missing: install it (Debian: apt-get install gcc-riscv64-unknown-elf)`;
const SOURCES = fileURLToPath(new URL('../guests/riscv/', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/guests/', import.meta.url));
const FLAGS = [
  ...['-O2', '-Wall', '-Wextra', '-Werror', '-march=rv64gc', '-mabi=lp64d', '-mcmodel=medany'],
  ...['-ffreestanding', '-nostdlib', '-static', '-T', 'link.ld'],
];
/** In every guest. */
const COMMON = ['crt.S', 'runtime.c', 'virtio.c', 'probe.S'];

export interface GuestProgram {
  readonly name: string;
  /** Of a source that has several guests. */
  readonly variant?: number;
  /** Entered in supervisor mode, above firmware. */
  readonly isSupervisor?: boolean;
}

/** First line of what it says of itself; undefined without one. */
const compilerVersion = spawnSync(COMPILER, ['--version'], { encoding: 'utf8' }).stdout?.split(
  '\n',
)[0];
/** `.ci/run` says so: there a test that does not run is a failure. */
const isDemanded = process.env.DEMAND_GUESTS === '1' || process.env.CI !== undefined;

if (compilerVersion === undefined && !isDemanded) {
  console.warn(`Tests with guests for RISC-V are skipped: ${REMEDY}`);
}

/** Where the compiler may be missing and is, tests that need it are skipped. */
export const lacksCompiler = compilerVersion === undefined && !isDemanded;

/** A test that needs the compiler: where it may be missing, the reason was printed. */
export const guestTest = test.skipIf(lacksCompiler) as typeof test;

/** The executable. Throws when there is no compiler, or the program is wrong. */
export function buildGuest(program: GuestProgram): Buffer {
  return readFileSync(guestFile(program));
}

/** The file of the executable. Throws as `buildGuest`. */
export function guestFile({ name, variant, isSupervisor = false }: GuestProgram): string {
  if (compilerVersion === undefined) throw new Error(REMEDY);
  const folder = join(CACHE, sourcesHash(compilerVersion));
  const kind = `${variant === undefined ? '' : `-${variant}`}${isSupervisor ? '-s' : ''}`;
  const file = join(folder, `${name}${kind}.elf`);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    // Another process may build the same: whoever is done puts a whole file there.
    const own = `${file}.${process.pid}`;
    const defines = [
      ...(variant === undefined ? [] : [`-DCASE=${variant}`]),
      ...(isSupervisor ? ['-DSUPERVISOR'] : []),
    ];
    execFileSync(COMPILER, [...FLAGS, ...defines, ...COMMON, `${name}.c`, '-lgcc', '-o', own], {
      cwd: SOURCES,
      encoding: 'utf8',
    });
    renameSync(own, file);
  }
  return file;
}

function sourcesHash(version: string): string {
  const hash = createHash('sha256').update(version).update(FLAGS.join(' '));
  for (const name of readdirSync(SOURCES).sort()) {
    hash.update(name).update(readFileSync(join(SOURCES, name)));
  }
  return hash.digest('hex').slice(0, 16);
}
