import { expect } from 'vitest';
import { Random } from '../../../../src/base/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../../support/riscv-guest.ts';

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

guestTest('pause() stops every instruction, and resume() lets them go on', async () => {
  const guest = await RiscvGuest.start({ name: 'store' });
  const { machine } = guest;
  const random = new Random(0x9e37_79b1);
  for (let round = 0; round < 200; round += 1) {
    await machine.pause('operator');
    const [steps, state] = [machine.steps, await machine.save()];
    await turns(random.below(4));
    expect(machine.steps).toBe(steps);
    expect(await machine.save()).toEqual(state);
    machine.resume('operator');
    await turns(random.below(4));
  }
  await guest.goRound(64);
  guest.type('.');
  await guest.passes();
});

/**
 * Copies what the logs say to a second RAM, while the guest runs, sleeps off a throttle or is
 * parked; several flips may come between two instructions.
 */
guestTest.each([
  ['store', 0],
  ['store', 90],
  ['self-modify', 90],
  ['page-walk', 90],
])('the dirty log of %s is whole, throttled to %i percent', async (name, percent) => {
  const guest = await RiscvGuest.start({ name }, { startPaused: true });
  const { machine } = guest;
  const [block] = machine.memory.blocks;
  const { layout, kernels } = block!;
  const shadow = Buffer.from(guest.ram);
  const copyDirty = async () => {
    await machine.flipDirtyLogs();
    machine.memory.mergeRetiredLogs();
    for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
      if (kernels.takeDirty(pfn, pfn + 1, 1, 0) === 0) continue;
      guest.ram.copy(shadow, pfn * 4096, pfn * 4096, (pfn + 1) * 4096);
    }
  };
  const random = new Random(0x3c6e_f372);
  machine.throttle('migration', percent);
  machine.resume('ownership');
  for (let round = 0; round < 60; round += 1) {
    const isPaused = random.below(4) === 0;
    if (isPaused) await machine.pause('operator');
    for (let flips = 1 + random.below(3); flips > 0; flips -= 1) await copyDirty();
    if (isPaused) machine.resume('operator');
    await turns(random.below(20));
  }
  await machine.pause('operator');
  await copyDirty();
  await copyDirty();
  expect(shadow.equals(guest.ram)).toBe(true);
  machine.throttle('migration', 0);
  machine.resume('operator');
  guest.type('.');
  await guest.passes();
});
