import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { MigrationMode } from '../../../../src/base/index.ts';
import type { BoardEvent } from '../../../../src/guest/riscv/board/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest, testDrive } from '../../../support/riscv-guest.ts';

const MODES: readonly MigrationMode[] = ['precopy', 'postcopy', 'hybrid', 'stop'];

guestTest.each<[string, BoardEvent, number]>([
  ['powers off', { kind: 'power-off' }, 0],
  ['resets', { kind: 'reset' }, 1],
  ['fails', { kind: 'fail', exitCode: 7 }, 2],
])('a guest that %s does nothing more, and says it to its owner', async (_, event, variant) => {
  const guest = await RiscvGuest.start({ name: 'finish', variant }, { startPaused: true });
  const { machine } = guest;
  const told = new Promise((resolve) => machine.onEvent(resolve));
  machine.resume('ownership');
  expect(await told).toEqual(event);
  expect(machine.event).toEqual(event);
  // It stays so across a pause, and where it is taken to.
  await machine.pause('operator');
  const { steps } = machine;
  machine.resume('operator');
  await guest.move({ parameters: { mode: 'stop' } });
  expect(guest.machine.event).toEqual(event);
  await guest.machine.pause('operator');
  expect(guest.machine.steps).toBe(steps);
  expect(guest.rounds).toBe(0);
});

guestTest('a supervisor powers off by its firmware', async () => {
  const guest = await RiscvGuest.start({ name: 'finish', variant: 3, isSupervisor: true });
  expect(await guest.ends()).toEqual({ kind: 'power-off' });
  expect(guest.rounds).toBe(0);
});

guestTest('the serial line carries bytes both ways, and nothing is lost in a move', async () => {
  const guest = await RiscvGuest.start({ name: 'echo' });
  await guest.says('ready\n');
  const text = 'the quick brown fox jumps over the lazy dog; ';
  let expected = 'ready\n';
  for (const mode of MODES) {
    guest.type(text);
    expected += text.toUpperCase();
    await guest.says(expected);
    // More than a FIFO has, while the guest stands still: it crosses unread.
    await guest.machine.pause('operator');
    guest.type(text.repeat(4));
    expected += text.repeat(4).toUpperCase();
    const moving = guest.move({ parameters: { mode, verify: 'after', postcopyAfterPasses: 1 } });
    const { source, machine } = await moving;
    expect(source.status, mode).toBe('completed');
    machine.resume('operator');
    await guest.says(expected);
  }
  guest.type('end.');
  await guest.passes();
  expect(guest.printed).toBe(`${expected}END.pass\n`);
});

guestTest('output that nobody reads makes the guest wait, and comes whole', async () => {
  const guest = await RiscvGuest.start({ name: 'echo' });
  await guest.says('ready\n');
  // The rings have 16 KiB each: the second half fills the one, and then waits in the other.
  guest.type('x'.repeat(16_000));
  await guest.reachRound(16_000);
  guest.type('x'.repeat(16_000));
  await guest.reachRound(16_384);
  guest.type('.');
  await guest.passes();
  expect(guest.printed).toBe(`ready\n${'X'.repeat(32_000)}.pass\n`);
});

const SECTORS = 64;

/** What disk.c writes in its round `version`. */
function diskContent(version: number): Buffer {
  const words = BigUint64Array.from({ length: SECTORS * 64 }, (_, index) =>
    BigInt.asUintN(64, BigInt(index) * 0x9e37_79b9_7f4a_7c15n + BigInt(version)),
  );
  return Buffer.from(words.buffer);
}

guestTest('a disk keeps what is written, also while the guest moves', async () => {
  const drive = testDrive(Buffer.alloc(SECTORS * 512));
  const guest = await RiscvGuest.start({ name: 'disk', variant: 0 }, { drives: [drive] });
  for (const mode of MODES) {
    await guest.goRound(5);
    const { source, info } = await guest.move({
      parameters: { mode, verify: 'after', postcopyAfterPasses: 1 },
    });
    expect([source.status, info.verify.status], mode).toEqual(['completed', 'identical']);
  }
  await guest.goRound(5);
  guest.type('.');
  await guest.passes();
  expect(readFileSync(drive.file).equals(diskContent(guest.rounds))).toBe(true);
});

guestTest('a read-only disk is read, and refuses writes', async () => {
  const drive = testDrive(diskContent(7), ',readonly=on');
  const guest = await RiscvGuest.start({ name: 'disk', variant: 1 }, { drives: [drive] });
  await guest.passes();
  expect(readFileSync(drive.file).equals(diskContent(7))).toBe(true);
});

guestTest('instructions that a disk puts in place of others are executed', async () => {
  const drive = testDrive(Buffer.alloc(SECTORS * 512));
  const guest = await RiscvGuest.start({ name: 'disk', variant: 2 }, { drives: [drive] });
  await guest.passes();
});
