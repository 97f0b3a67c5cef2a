import { expect } from 'vitest';
import { Random } from '../../../../src/base/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { endOf, RiscvGuest } from '../../../support/riscv-guest.ts';
import { until } from '../../../support/until.ts';

/**
 * Goal: a guest that runs into missing pages all the time, and is paused, flipped and saved all the
 * time, executes what it would have executed anyway. Method: it is stopped somewhere, all of its
 * pages are missing on another machine and come at random or when they are waited for, until it
 * halts; then it is as it would have been, and so is the copy of what its dirty log told.
 */

const PAGE_BYTES = 4096;

guestTest.each([
  ['store', 12_000_000, 0xb54c_da56],
  ['self-modify', 3_000_000, 0x5384_540f],
  ['page-walk', 8_000_000, 0xf1bb_cdc8],
  ['timer', 12_000_000, 0x8ff3_4781],
])(
  '%s ends the same after %i instructions when all of its pages come late',
  async (name, haltAt, seed) => {
    const options = { deterministic: true, haltAt };
    const expected = await endOf(await RiscvGuest.start({ name }, options), haltAt);
    const random = new Random(seed);
    const source = await RiscvGuest.start({ name }, options);
    const stop = BigInt(random.below(haltAt / 2));
    await until('the moment of the move', () => source.machine.steps >= stop || undefined);
    await source.machine.pause('migration');
    const guest = source.at(await source.twin());
    const { machine } = guest;
    await machine.load(await source.machine.save());
    machine.setPostcopy(true);
    const [block] = machine.memory.blocks;
    const { layout, bytes, kernels } = block!;
    const shadow = Buffer.from(source.ram);
    const put = (pfn: number) => {
      // What has come may have been written since.
      if (block!.isReceived(pfn)) return;
      source.ram.copy(guest.ram, pfn * PAGE_BYTES, pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
      Atomics.store(bytes, layout.receivedMap + pfn, 1);
      machine.faults.wake();
    };
    const copyDirty = async () => {
      await machine.flipDirtyLogs();
      machine.memory.mergeRetiredLogs();
      for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
        if (kernels.takeDirty(pfn, pfn + 1, 1, 0) === 0) continue;
        expect(block!.isReceived(pfn)).toBe(true);
        guest.ram.copy(shadow, pfn * PAGE_BYTES, pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
      }
    };
    machine.resume('ownership');
    while (machine.steps < BigInt(haltAt) && machine.event === undefined) {
      const what = random.below(8);
      const [fault] = machine.faults.waiting();
      if (what === 0) await copyDirty();
      else if (what === 1) {
        await machine.pause('operator');
        await machine.load(await machine.save());
        machine.resume('operator');
      } else if (what === 2) put(random.below(layout.pageCount));
      else if (fault !== undefined) put(fault.pfn);
      else await new Promise((resolve) => setImmediate(resolve));
    }
    for (let pfn = 0; pfn < layout.pageCount; pfn += 1) put(pfn);
    const found = await endOf(guest, haltAt);
    await copyDirty();
    expect(found.sections).toEqual(expected.sections);
    expect(found.ram.equals(expected.ram)).toBe(true);
    expect(shadow.equals(expected.ram)).toBe(true);
    expect(machine.faults.statistics().vcpus[0]?.faults).toBeGreaterThan(10);
  },
);
