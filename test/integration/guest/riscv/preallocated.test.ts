import { expect, onTestFinished } from 'vitest';
import { hostDevices } from '../../../../src/control/machine/host-devices.ts';
import { createMachine, preallocate } from '../../../../src/control/machine/local-machine.ts';
import type { RiscvMachine } from '../../../../src/guest/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../../support/riscv-guest.ts';

guestTest('a guest comes into memory that was made resident before, and runs there', async () => {
  const guest = await RiscvGuest.start({ name: 'store' });
  const { description } = guest.machine;
  const reserve = preallocate(description.ramBlocks[0]?.bytes ?? 0);
  const taken: (WebAssembly.Memory | undefined)[] = [];
  const spied = Object.assign(Object.create(reserve) as typeof reserve, {
    take: (layout: Parameters<typeof reserve.take>[0]) => {
      taken.push(reserve.take(layout));
      return taken.at(-1);
    },
  });
  await guest.move({
    create: async () => {
      // The description is a board's.
      const machine = (await createMachine(description, hostDevices({}), spied)) as RiscvMachine;
      onTestFinished(() => machine.destroy());
      return machine;
    },
  });
  expect(taken).toEqual([guest.machine.memory.blocks[0]?.memory]);
  await guest.goRound(64);
  guest.type('.');
  await guest.passes();
});
