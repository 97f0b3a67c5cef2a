// 10. A deterministic guest that is moved again and again ends as one that never was.
import { createHash } from 'node:crypto';
import { moveMachine } from '../../dist/experiments/index.js';
import { create, describe, linuxPlan, smallPlan } from './linux.mjs';

const MODES = ['precopy', 'postcopy', 'hybrid', 'stop'];
const RAM_BYTES = 192 * 2 ** 20;

const digest = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/** RAM, registers and devices of a guest that has halted; its host's clock is none of them. */
async function endOf(machine, haltAt) {
  while (Number(machine.steps) < haltAt) {
    machine.serial.output.pull(2 ** 16);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await machine.pause('operator');
  const { sections } = await machine.save();
  const parts = sections
    .filter(({ name }) => name !== 'clock')
    .map(({ name, bytes }) => `${name} ${digest(bytes)}`);
  return [`ram ${digest(machine.memory.blocks[0].ram)}`, ...parts].join(', ');
}

async function started(plan, description) {
  const machine = await create(description);
  machine.furnish(plan);
  machine.resume('ownership');
  return machine;
}

/** A sequence that anyone can repeat. */
function* fractions(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    yield state / 0x7fffffff;
  }
}

async function moved(plan, description, counts) {
  let machine = await started(plan, description);
  for (const [index, count] of counts.entries()) {
    while (Number(machine.steps) < count) {
      machine.serial.output.pull(2 ** 16);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const mode = MODES[index % MODES.length];
    const postcopyRam = mode === 'postcopy' || mode === 'hybrid';
    const parameters = { mode, downtimeLimitMs: 20, postcopyAfterPasses: 1 };
    const before = machine;
    const move = await moveMachine(machine, { create, parameters, capabilities: { postcopyRam } });
    if (move.source.status !== 'completed' || move.info.verify.status !== 'identical') {
      throw move.source.error ?? new Error(`RAM is ${move.info.verify.status}`);
    }
    machine = move.machine;
    await before.destroy();
  }
  return machine;
}

export const replay = {
  name: 'replay',
  async run({ smoke, record }) {
    const haltAt = smoke ? 100_000_000 : 1_600_000_000;
    const moves = smoke ? 2 : 100;
    const ramBytes = smoke ? 2 ** 24 : RAM_BYTES;
    const description = describe({ ramBytes, deterministic: true, haltAt });
    const plan = smoke ? smallPlan('counting') : await linuxPlan(description, 'sterna_init=sqlite');
    const unmoved = await started(plan, description);
    const expected = await endOf(unmoved, haltAt);
    await unmoved.destroy();
    const fraction = fractions(1);
    const counts = Array.from({ length: moves }, () =>
      Math.floor((fraction.next().value ?? 0) * haltAt * 0.98),
    ).sort((one, other) => one - other);
    const machine = await moved(plan, description, counts);
    const end = await endOf(machine, haltAt);
    await machine.destroy();
    record({
      what: smoke
        ? 'a guest that counts, moved at random counts'
        : 'a boot of Linux to sqlite, moved at random counts',
      moves,
      haltAt,
      end,
      equal: end === expected,
      target: 'equal',
    });
    if (end !== expected) throw new Error(`The moved guest ended as ${end}, not ${expected}`);
  },
};
