import { expect } from 'vitest';
import { systemClock } from '../../../../src/base/index.ts';
import { STEPS } from '../../../../src/guestmem/control-block.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../../support/riscv-guest.ts';
import { until } from '../../../support/until.ts';

const TICKS_PER_MS = 10_000;

guestTest('time goes on where the guest arrives, and shows no more than the downtime', async () => {
  const guest = await RiscvGuest.start({ name: 'clock' });
  await guest.goRound(100_000);
  const { info } = await guest.move({
    parameters: { mode: 'stop', verify: 'after' },
    // The destination takes its time: far more than a busy host keeps a thread waiting.
    create: async () => {
      const machine = await guest.twin();
      const load = machine.load.bind(machine);
      machine.load = async (state) => {
        await systemClock().sleep(700);
        return load(state);
      };
      return machine;
    },
  });
  expect(info.verify.status).toBe('identical');
  await guest.goRound(100_000);
  guest.type('.');
  await guest.passes();
  expect(info.downtimeMs).toBeGreaterThan(700);
  expect(guest.word('longest_step') / TICKS_PER_MS).toBeLessThan(info.downtimeMs ?? 0);
});

guestTest('time stands still while the guest does', async () => {
  const guest = await RiscvGuest.start({ name: 'clock' });
  await guest.goRound(100_000);
  await guest.machine.pause('operator');
  const before = guest.machine.guestTimeMs();
  await systemClock().sleep(500);
  expect(guest.machine.guestTimeMs()).toBe(before);
  guest.machine.resume('operator');
  await guest.goRound(100_000);
  guest.type('.');
  await guest.passes();
  expect(guest.word('longest_step') / TICKS_PER_MS).toBeLessThan(500);
});

/** How often the hart looked up, to run or to sleep on. */
function steps({ machine }: RiscvGuest): number {
  const { block } = machine.control;
  return Atomics.load(block.words, block.vcpuWord(0, STEPS));
}

guestTest('a guest that waits for its timer executes next to nothing', async () => {
  const guest = await RiscvGuest.start({ name: 'idle', variant: 0 });
  await guest.passes();
  expect(guest.rounds).toBe(5);
  // 5 times 50 ms: at full speed that were ten millions, in more than a thousand slices.
  expect(guest.machine.steps).toBeLessThan(5000n);
  expect(steps(guest)).toBeLessThan(100);
});

guestTest('a guest that waits for input sleeps, also beside a timer that is over', async () => {
  const guest = await RiscvGuest.start({ name: 'idle', variant: 1 });
  await guest.says('ready\n');
  await until('it waits', () => guest.rounds === 1 || undefined);
  // It has run until now, and looks up once a second at most.
  const from = { instructions: guest.machine.steps, looks: steps(guest) };
  await systemClock().sleep(300);
  expect(Number(guest.machine.steps - from.instructions)).toBeLessThan(1000);
  expect(steps(guest) - from.looks).toBeLessThan(20);
  guest.type('.');
  await guest.passes();
});

guestTest('a deterministic guest that waits for input sleeps too', async () => {
  const guest = await RiscvGuest.start({ name: 'idle', variant: 1 }, { deterministic: true });
  await guest.says('ready\n');
  await until('it waits', () => guest.rounds === 1 || undefined);
  const from = { instructions: guest.machine.steps, looks: steps(guest) };
  await systemClock().sleep(300);
  expect(Number(guest.machine.steps - from.instructions)).toBeLessThan(1000);
  expect(steps(guest) - from.looks).toBeLessThan(20);
  guest.type('.');
  await guest.passes();
});
