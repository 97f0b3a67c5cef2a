import { expect } from 'vitest';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../../support/riscv-guest.ts';

/** Each guest checks itself: what a hart or a board does wrong, it says by line and value. */

guestTest.each(['sort', 'matrix', 'memory', 'atomics'])('%s runs to its end', async (name) => {
  const guest = await RiscvGuest.start({ name });
  await guest.passes();
});

guestTest.each([
  ['store', 256],
  ['self-modify', 256],
  ['page-walk', 512],
])('%s goes round %i times, and finds nothing wrong', async (name, rounds) => {
  const guest = await RiscvGuest.start({ name });
  await guest.goRound(rounds);
  guest.type('.');
  await guest.passes();
  expect(guest.printed).toMatch(/^\w+ \d+\n/);
});

guestTest('a guest whose memory is damaged says so, by line and value', async () => {
  const guest = await RiscvGuest.start({ name: 'store' });
  await guest.goRound(8);
  await guest.machine.pause('operator');
  expect(damagePairs(guest.ram)).toBeGreaterThan(100);
  guest.machine.resume('operator');
  expect(await guest.ends()).toMatchObject({ kind: 'fail' });
  expect(guest.printed).toMatch(/fail store\.c \d+ \d+\n$/);
});

/** Changes a bit of each pair of the store; a pair's words follow from its number. */
function damagePairs(ram: Buffer): number {
  let count = 0;
  for (let at = 0; at + 128 <= ram.length; at += 8) {
    const number = ram.readBigUInt64LE(at + 16);
    const isWord = (word: number) =>
      ram.readBigUInt64LE(at + 24 + word * 8) === BigInt.asUintN(64, number + BigInt(word));
    if (number === 0n || ![0, 1, 2, 12].every(isWord)) continue;
    ram[at + 24] = (ram[at + 24] ?? 0) ^ 1;
    count += 1;
  }
  return count;
}
