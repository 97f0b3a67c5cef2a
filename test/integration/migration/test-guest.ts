import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { guestFile, lacksCompiler } from '../../support/riscv-compiler.ts';
import { until } from '../../support/until.ts';

/** What a test wants of a guest; a kind of guest that has no such thing leaves it aside. */
export interface GuestWishes {
  /** As on the command line. */
  readonly ram?: string;
  readonly workload?: string;
  readonly vcpus?: number;
}

/** An agent that has a guest, as those see it who look after that. */
export interface GuestPlace {
  /** What the guest prints there. */
  readonly consoleFile: string;
  ask(command: string): Promise<unknown>;
}

/** A kind of guest. Tests of migrations know of it only what is here. */
export interface TestGuest {
  /** Of titles. */
  readonly name: string;
  /** Whether it cannot be had on this host. */
  readonly isMissing: boolean;
  /** Of the command line of the source where it begins. */
  sourceArguments(wishes: GuestWishes): readonly string[];
  /** Of every agent where it may be. */
  hostArguments(consoleFile: string): readonly string[];
  /** Resolves when it has all the memory that it will have, and works. */
  isAtWork(place: GuestPlace): Promise<void>;
  /** Work that it has done. */
  steps(place: GuestPlace): Promise<number>;
  /** It finds everything as it must be. Paused or running, it is so again afterwards. */
  check(place: GuestPlace): Promise<void>;
  /** As `check`, of one that lacks pages that may never come. */
  checkTorn(place: GuestPlace): Promise<void>;
}

const RAM = '16M';
/** Small, and always writing: 8 MiB of noise, a quarter of it rewritten four times a second. */
export const BUSY = 'memwrite,fill=8M,hot=2M,rate=2000,words=8,step=512';

/** A program of the simple machine, which its agent can check. */
export const WORKLOAD: TestGuest = {
  name: 'a workload',
  isMissing: false,

  sourceArguments: ({ ram = RAM, workload = BUSY, vcpus = 1 }) => [
    ...['--ram', ram, '--workload', workload, '--vcpus', String(vcpus)],
  ],
  hostArguments: () => [],

  async isAtWork(place) {
    await until('the guest to be booted', async () => {
      const { booted } = (await place.ask('x-guest-info')) as { readonly booted: boolean };
      return booted || undefined;
    });
  },

  async steps(place) {
    const { writes, reads, ticks } = (await place.ask('x-guest-info')) as Record<
      'writes' | 'reads' | 'ticks',
      number
    >;
    return writes + reads + ticks;
  },

  async check(place) {
    const ran = await isRunning(place);
    await place.ask('stop');
    expect(await place.ask('x-check-guest')).toMatchObject({ ok: true, problems: [] });
    if (ran) await place.ask('cont');
  },

  async checkTorn(place) {
    await place.ask('stop');
    // Nothing can be said of the whole RAM.
    await expect(place.ask('x-check-guest')).rejects.toThrow(
      'with missing pages cannot be checked',
    );
  },
};

/**
 * A computer with a program on its own, which keeps a store, checks all of it again and again, and
 * ends when something is wrong. It has 2 MiB that it writes all the time, and 6 MiB that it seldom
 * looks at.
 */
export const RISCV_STORE: TestGuest = {
  name: 'a RISC-V computer',
  isMissing: lacksCompiler,

  sourceArguments: () => [
    ...['--machine', 'virt-riscv64', '--ram', RAM],
    ...['--kernel', guestFile({ name: 'store', variant: 1 })],
  ],
  hostArguments: (consoleFile) => ['--serial', `file:${consoleFile}`],

  isAtWork: (place) => prints(place, STORE_CHECKED, 1),
  steps: instructions,

  check: (place) =>
    whileItRuns(place, async () => {
      // One of them may have begun before.
      await prints(place, STORE_CHECKED, 2);
    }),

  checkTorn: expectNoEnd,
};

const STORE_CHECKED = /^store \d+$/gm;

/** Every suite of a test file with each of the small guests. */
export function withEveryGuest(title: string, suite: (guest: TestGuest) => void): void {
  for (const guest of [WORKLOAD, RISCV_STORE]) {
    describe.skipIf(guest.isMissing)(`${title}, of ${guest.name}`, () => suite(guest));
  }
}

/** Resolves when a computer has printed so many more of these lines there. */
export async function prints(
  place: GuestPlace,
  line: RegExp,
  count: number,
  limitMs?: number,
): Promise<void> {
  const printed = () => [...readFileSync(place.consoleFile, 'latin1').matchAll(line)].length;
  const before = printed();
  const ask = async () => {
    await expectNoEnd(place);
    return printed() >= before + count || undefined;
  };
  await until(`${count} lines like ${line}`, ask, limitMs);
}

/** A computer that has found something wrong says so, and ends. */
export async function expectNoEnd(place: GuestPlace): Promise<void> {
  expect(readFileSync(place.consoleFile, 'latin1')).not.toMatch(/^fail /m);
  expect(await place.ask('x-guest-info')).toMatchObject({ event: null });
}

export async function instructions(place: GuestPlace): Promise<number> {
  const report = (await place.ask('x-guest-info')) as { readonly instructions: number };
  return report.instructions;
}

/** A computer checks itself, and has to run for that. */
export async function whileItRuns(place: GuestPlace, wait: () => Promise<void>): Promise<void> {
  const ran = await isRunning(place);
  if (!ran) await place.ask('cont');
  await wait();
  if (!ran) await place.ask('stop');
}

async function isRunning(place: GuestPlace): Promise<boolean> {
  return ((await place.ask('query-status')) as { readonly running: boolean }).running;
}
