import { expect, test } from 'vitest';
import { PAGE_BYTES, Random, SimClock } from '../../../src/base/index.ts';
import { SimMachine } from '../../../src/guest/index.ts';

function simMachine(seed = 3): SimMachine {
  return SimMachine.create({ clock: new SimClock(), blockPages: [96, 64], vcpuCount: 2, seed });
}

function ramOf(machine: SimMachine): Buffer {
  return Buffer.concat(machine.memory.blocks.map((block) => block.ram));
}

async function copyOf(machine: SimMachine): Promise<SimMachine> {
  const factory = SimMachine.factory(new SimClock());
  const copy = (await factory.create(machine.description)) as SimMachine;
  for (const [index, block] of machine.memory.blocks.entries())
    copy.memory.blocks[index]?.ram.set(block.ram);
  await copy.load(await machine.save());
  return copy;
}

test('SimMachine.step() replays one history from one seed', () => {
  const [first, second, other] = [simMachine(), simMachine(), simMachine(4)];
  for (const machine of [first, second, other]) machine.step(new Random(9), 500);
  expect(ramOf(first).equals(ramOf(second))).toBe(true);
  expect(ramOf(first).equals(ramOf(other))).toBe(false);
  expect(first.problems()).toEqual([]);
});

test('SimMachine.step() marks every page that it changed in the log of its vCPU', async () => {
  const machine = simMachine();
  const shadow = ramOf(machine);
  const random = new Random(1);
  for (let round = 0; round < 20; round += 1) {
    machine.step(random, 15);
    await machine.flipDirtyLogs();
    machine.memory.mergeRetiredLogs();
    for (const { layout, bytes } of machine.memory.blocks) {
      for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
        const at = layout.dirtyBitmap + (pfn >> 3);
        if (((bytes[at] ?? 0) >> (pfn & 7)) % 2 === 0) continue;
        const from = layout.ram + pfn * PAGE_BYTES;
        bytes.copy(shadow, (layout.firstPfn + pfn) * PAGE_BYTES, from, from + PAGE_BYTES);
      }
      bytes.fill(0, layout.dirtyBitmap, layout.dirtyBitmap + layout.pageCount / 8);
    }
    expect(shadow.equals(ramOf(machine))).toBe(true);
  }
});

test('SimMachine.load() continues a guest exactly when it is resumed', async () => {
  const machine = simMachine();
  machine.step(new Random(2), 300);
  await machine.pause('migration');
  machine.step(new Random(2), 300);
  expect(machine.steps).toBe(300);
  const copy = await copyOf(machine);
  expect(copy.problems()).toEqual([]);
  copy.step(new Random(5), 100);
  expect(copy.steps).toBe(300);
  copy.resume('ownership');
  copy.step(new Random(5), 100);
  expect(copy.steps).toBe(400);
  expect(copy.problems()).toEqual([]);
});

test('SimMachine.problems() finds a stale, a torn and a misplaced page', async () => {
  const machine = simMachine();
  machine.step(new Random(2), 2000);
  await machine.pause('migration');
  const damage: [string, (ram: Buffer) => void][] = [
    ['stale', (ram) => ram.fill(0, 0, PAGE_BYTES)],
    ['torn', (ram) => ram.fill(1, PAGE_BYTES + 100, PAGE_BYTES + 101)],
    ['misplaced', (ram) => void ram.copy(ram, 4 * PAGE_BYTES, 0, PAGE_BYTES)],
  ];
  for (const [, spoil] of damage) {
    const copy = await copyOf(machine);
    expect(machine.pagesThatDiffer(copy.memory)).toEqual([]);
    spoil(copy.memory.blocks[0]?.ram as Buffer);
    expect(copy.problems().length).toBeGreaterThan(0);
    expect(machine.pagesThatDiffer(copy.memory)).toHaveLength(1);
  }
});

test('SimMachine.load() refuses what is not its state, and changes nothing', async () => {
  const machine = simMachine();
  machine.step(new Random(2), 20);
  await machine.pause('operator');
  const before = await machine.save();
  const [vcpu, clock] = before.sections;
  if (vcpu === undefined || clock === undefined) throw new Error('Two sections were expected');
  const bad = [
    [],
    [vcpu],
    [clock, vcpu],
    [vcpu, { ...clock, bytes: new Uint8Array(7) }],
    [{ ...vcpu, bytes: new Uint8Array(8) }, clock],
    [{ ...vcpu, bytes: new Uint8Array(new Float64Array([-1, 0.5]).buffer) }, clock],
  ];
  for (const sections of bad) {
    await expect(machine.load({ sections })).rejects.toMatchObject({ code: 'E_MACHINE_STATE' });
  }
  expect(await machine.save()).toEqual(before);
});
