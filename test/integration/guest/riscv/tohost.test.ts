import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { RiscvMachine, riscvDescription } from '../../../../src/guest/index.ts';
import { refuseRiscv } from '../../../../src/guest/riscv/riscv-description.ts';

const RAM_BASE = 0x8000_0000;
const TOHOST = RAM_BASE + 0x1000;

const OPTIONS = {
  ...{ name: 'tohost', uuid: randomUUID(), ramBytes: 2 ** 24, hartCount: 1, seed: 1 },
  ...{ deterministic: false, haltAt: 0, drives: [] },
};

/** `auipc t0, 1`; `addi t1, zero, VALUE`; `sd t1, 0(t0)`; and stays there. */
const storing = (value: number) => [0x00001297, 0x00000313 | (value << 20), 0x0062b023, 0x0000006f];

test.each([
  ['1 is a success', 1, { kind: 'power-off' }],
  ['an odd word a failure with its number', 7, { kind: 'fail', exitCode: 3 }],
])('of tohost %s', async (_, value, event) => {
  const description = riscvDescription({ ...OPTIONS, tohost: TOHOST });
  const machine = await RiscvMachine.create({ description, startPaused: true, drives: [] });
  onTestFinished(() => machine.destroy());
  const ended = new Promise((resolve) => machine.onEvent(resolve));
  machine.furnish({
    pieces: [{ gpa: RAM_BASE, bytes: new Uint8Array(new Uint32Array(storing(value)).buffer) }],
    ...{ pc: RAM_BASE, hart: 0, deviceTreeGpa: 0, mode: 'machine', hasSbi: false },
    symbols: { tohost: TOHOST },
  });
  machine.resume('ownership');
  expect(await ended).toEqual(event);
  expect(machine.event).toEqual(event);
});

test.each([RAM_BASE - 8, RAM_BASE + 4, RAM_BASE + 2 ** 24, 1.5, -8, 'here'])(
  'a word tohost at %s is refused',
  (tohost) => {
    const description = riscvDescription({ ...OPTIONS, tohost: TOHOST });
    const changed = { ...description, config: { ...description.config, tohost } };
    expect(refuseRiscv(changed)).toMatchObject({ code: 'E_HANDSHAKE_MACHINE' });
  },
);
