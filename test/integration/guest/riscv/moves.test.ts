import { expect } from 'vitest';
import type { MigrationMode } from '../../../../src/base/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../../support/riscv-guest.ts';

/**
 * Goal: a guest that runs all the time, and checks itself all the time, does not notice where it
 * is. Method: ten moves in a chain, in all modes; each compares the RAM of both sides.
 */

const MODES: readonly MigrationMode[] = ['precopy', 'postcopy', 'hybrid', 'stop'];
const HOPS = 10;
/** So slow that the guest asks for most of what it needs. */
const POSTCOPY_BYTES_PER_SECOND = 32 * 2 ** 20;

guestTest.each(['store', 'self-modify', 'page-walk'])('%s goes through ten moves', async (name) => {
  const guest = await RiscvGuest.start({ name });
  let requests = 0;
  for (let hop = 0; hop < HOPS; hop += 1) {
    await guest.goRound(32);
    const mode = MODES[hop % MODES.length] ?? 'precopy';
    const { source, destination, info } = await guest.move({
      parameters: {
        ...{ mode, verify: 'after', postcopyAfterPasses: 1 },
        maxPostcopyBandwidthBytesPerSecond: POSTCOPY_BYTES_PER_SECOND,
      },
    });
    expect([source, destination.status, info.owner, info.verify.status], `${mode}`).toMatchObject([
      { status: 'completed' },
      'completed',
      'destination',
      'identical',
    ]);
    requests += info.postcopy?.requests ?? 0;
  }
  // Not of each move: on a busy host all pages of a small guest may be there before it runs.
  expect(requests).toBeGreaterThan(0);
  await guest.goRound(32);
  guest.type('.');
  await guest.passes();
});
