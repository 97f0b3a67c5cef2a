import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { type MigrationMode, Random } from '../../../../src/base/index.ts';
import type { DriveSpec, RiscvMachine } from '../../../../src/guest/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { endOf, RiscvGuest, testDrive } from '../../../support/riscv-guest.ts';
import { until } from '../../../support/until.ts';

/**
 * Goal: a guest whose time is counted in instructions ends the same wherever it has been. Method:
 * it halts after so many instructions; RAM and state are then those of the run that never moved.
 */

const MODES: readonly MigrationMode[] = ['precopy', 'postcopy', 'hybrid', 'stop'];
const MOVES = 6;
const SLOWED_PERCENT = 95;
const DISK_BYTES = 64 * 512;

function start(name: string, haltAt: number, drives: readonly DriveSpec[] = []) {
  const program = name === 'disk' ? { name, variant: 0 } : { name };
  return RiscvGuest.start(program, { deterministic: true, haltAt, drives });
}

/** Moves it at such moments; returns how often that was before it halted. */
async function moveAt(guest: RiscvGuest, moments: readonly number[], firstMode: number) {
  let count = 0;
  for (const [index, moment] of moments.entries()) {
    const { machine } = guest;
    const create = async () => slowed(await guest.twin());
    await until('the moment of a move', () => machine.steps >= BigInt(moment) || undefined);
    slowed(machine);
    const mode = MODES[(firstMode + index) % MODES.length] ?? 'precopy';
    const { source, info } = await guest.move({
      create,
      parameters: { mode, verify: 'after', postcopyAfterPasses: 1 },
    });
    expect([source.status, info.verify.status], mode).toEqual(['completed', 'identical']);
    if (guest.machine.steps < haltAtOf(guest)) count += 1;
    guest.machine.throttle('dirty-limit', 0);
  }
  return count;
}

/** While it moves: so slow that it does not halt before it has been everywhere. */
function slowed(machine: RiscvMachine): RiscvMachine {
  machine.throttle('dirty-limit', SLOWED_PERCENT);
  return machine;
}

function haltAtOf({ machine }: RiscvGuest): bigint {
  return BigInt(Number(machine.description.config.haltAt));
}

guestTest.each([
  ['store', 30_000_000, 0x9e37_79b1],
  // Most of its time is decoding.
  ['self-modify', 6_000_000, 0x3c6e_f372],
  ['page-walk', 20_000_000, 0xdaa6_6d2b],
  ['timer', 30_000_000, 0x78dd_e6e4],
  ['disk', 10_000_000, 0x1715_609d],
])('%s ends the same after %i instructions when it is moved', async (name, haltAt, seed) => {
  const drives = name === 'disk' ? [testDrive(Buffer.alloc(DISK_BYTES))] : [];
  const contents = () => drives.map(({ file }) => readFileSync(file).toString('hex'));
  const expected = await endOf(await start(name, haltAt, drives), haltAt);
  const expectedContents = contents();
  for (const { file } of drives) writeFileSync(file, Buffer.alloc(DISK_BYTES));
  const random = new Random(seed);
  const guest = await start(name, haltAt, drives);
  const moments = Array.from({ length: MOVES }, () => random.below(haltAt * 0.7)).sort(
    (a, b) => a - b,
  );
  const moves = await moveAt(guest, moments, random.below(MODES.length));
  expect(moves).toBeGreaterThanOrEqual(MOVES / 2);
  const found = await endOf(guest, haltAt);
  expect(found.sections).toEqual(expected.sections);
  expect(found.ram.equals(expected.ram)).toBe(true);
  expect(contents()).toEqual(expectedContents);
});

guestTest.each([
  ['self-modify', 4_000_000],
  ['page-walk', 10_000_000],
])('%s ends the same after %i instructions when it is put back between', async (name, haltAt) => {
  const expected = await endOf(await start(name, haltAt), haltAt);
  const guest = await start(name, haltAt);
  const { machine } = guest;
  await until('the first moment', () => machine.steps >= BigInt(haltAt / 4) || undefined);
  await machine.pause('operator');
  const state = await machine.save();
  const ram = Buffer.from(guest.ram);
  machine.resume('operator');
  await until('the second moment', () => machine.steps >= BigInt(haltAt / 2) || undefined);
  // Nothing that the hart has made of the later memory may be left.
  await machine.pause('operator');
  ram.copy(guest.ram);
  await machine.load(state);
  machine.resume('operator');
  const found = await endOf(guest, haltAt);
  expect(found.sections).toEqual(expected.sections);
  expect(found.ram.equals(expected.ram)).toBe(true);
});
