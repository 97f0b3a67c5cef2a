import { expect } from 'vitest';
import { type RiscvMachine, refuseRiscv } from '../../../../src/guest/index.ts';
import type { MachineRefusal, MachineState } from '../../../../src/guestmem/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { machineOf, RiscvGuest } from '../../../support/riscv-guest.ts';

/**
 * Goal: a destination that cannot take the guest says why before the guest is given away, and the
 * guest goes on where it was.
 */

type Change = (state: MachineState) => MachineState;

/** Changes one section of what the destination gets. */
function section(name: string, change: (bytes: Buffer) => Uint8Array, versionStep = 0): Change {
  return ({ sections }) => ({
    sections: sections.map((each) =>
      each.name === name
        ? { name, version: each.version + versionStep, bytes: change(Buffer.from(each.bytes)) }
        : each,
    ),
  });
}

const same = (bytes: Buffer): Buffer => bytes;
const flipped = (at: number) => (bytes: Buffer) => {
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  return bytes;
};
const without =
  (name: string): Change =>
  ({ sections }) => ({ sections: sections.filter((each) => each.name !== name) });

const CHANGES: readonly [string, Change, RegExp][] = [
  ['a newer hart', section('hart-0', same, 1), /hart-0.*version 2/],
  ['a newer clock', section('clock', same, 1), /clock.*version 2/],
  ['a shorter hart', section('hart-0', (bytes) => bytes.subarray(1)), /hart-0.*4095 bytes/],
  [
    'a hart at an odd address',
    section('hart-0', (bytes) => bytes.fill(1, 0x300, 0x301)),
    /pc is misaligned/,
  ],
  ['no hart', without('hart-0'), /hart/],
  ['no clock', without('clock'), /clock/],
];

/** A machine whose state is another one by the time it arrives. */
function tampered(machine: RiscvMachine, change: Change): void {
  const load = machine.load.bind(machine);
  machine.load = (state) => load(change(state));
}

async function stays(guest: RiscvGuest): Promise<void> {
  expect(guest.machine.pauseReasons()).toEqual([]);
  await guest.goRound(64);
  guest.type('.');
  await guest.passes();
}

guestTest.each(CHANGES)('%s is refused, and the guest goes on', async (_, change, message) => {
  const guest = await RiscvGuest.start({ name: 'store' });
  await guest.goRound(16);
  const moved = await guest.move({
    create: async () => {
      const machine = await guest.twin();
      tampered(machine, change);
      return machine;
    },
  });
  expect(moved.destination).toMatchObject({
    status: 'failed',
    error: { code: 'E_MACHINE_STATE', message: expect.stringMatching(message) },
  });
  expect(moved.source.status).toBe('failed');
  expect(moved.info.owner).toBe('source');
  await stays(guest);
});

guestTest('each damaged section of the board is refused, and named', async () => {
  const guest = await RiscvGuest.start({ name: 'store' });
  await guest.goRound(16);
  await guest.machine.pause('operator');
  const state = await guest.machine.save();
  const target = await guest.twin();
  const before = await target.save();
  const names = state.sections.map(({ name }) => name);
  const ofBoard = names.filter((name) => name !== 'clock' && name !== 'hart-0');
  expect(ofBoard.length).toBeGreaterThan(0);
  for (const name of ofBoard) {
    for (const change of [section(name, flipped(3)), section(name, same, 1), without(name)]) {
      await expect(target.load(change(state)), name).rejects.toMatchObject({
        code: 'E_MACHINE_STATE',
        message: expect.stringContaining(name),
      });
      expect(await target.save()).toEqual(before);
    }
  }
});

guestTest('a board with other RAM or other drives is refused before anything is sent', async () => {
  const guest = await RiscvGuest.start({ name: 'store' });
  const { description } = guest.machine;
  const drive = { kind: 'blk', capacityBytes: 512, isReadOnly: false, serial: '' } as const;
  const moved = await guest.move({ refusal: (wanted) => refuseRiscv(wanted, [drive]) });
  expect(moved.source).toMatchObject({
    status: 'failed',
    error: { code: 'E_HANDSHAKE_MACHINE', message: expect.stringMatching(/0 drives, here are 1/) },
  });
  expect(moved.info.ram.normalPages).toBe(0);
  const other: MachineRefusal | undefined = refuseRiscv({ ...description, version: 2 }, []);
  expect(other).toMatchObject({ code: 'E_HANDSHAKE_MACHINE' });
  await stays(guest);
});

guestTest('the state of a guest with other RAM is refused', async () => {
  const guest = await RiscvGuest.start({ name: 'store' });
  const { description } = guest.machine;
  await guest.machine.pause('operator');
  const state = await guest.machine.save();
  const larger = { ...description, ramBlocks: [{ name: 'ram0', bytes: 32 * 2 ** 20 }] };
  const target = await machineOf(larger);
  await expect(target.load(state)).rejects.toMatchObject({
    code: 'E_MACHINE_STATE',
    message: expect.stringMatching(/RAM/),
  });
  guest.machine.resume('operator');
  await stays(guest);
});
