import { expect, test } from 'vitest';
import { PAGE_BYTES, Random, SimClock } from '../../../../src/base/index.ts';
import { SimMachine } from '../../../../src/guest/index.ts';
import type { PageFault } from '../../../../src/guestmem/index.ts';

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

/** A guest in post-copy without any page, its source, and what brings a page. */
async function postcopied() {
  const source = simMachine();
  source.step(new Random(2), 500);
  await source.pause('migration');
  const clock = new SimClock();
  const machine = (await SimMachine.factory(clock).create(source.description)) as SimMachine;
  await machine.load(await source.save());
  machine.setPostcopy(true);
  machine.resume('ownership');
  const bring = (block: number, pfn: number) => {
    const [from, to] = [source.memory.blocks[block]!, machine.memory.blocks[block]!];
    from.ram.copy(to.ram, pfn * PAGE_BYTES, pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
    to.bytes[to.layout.receivedMap + pfn] = 1;
    // As the kernel that applies pages says that a page holds something.
    const populated = to.layout.populatedBitmap + (pfn >>> 3);
    to.bytes[populated] = (to.bytes[populated] ?? 0) | (1 << (pfn & 7));
    machine.faults.wake();
  };
  return { source, machine, clock, bring };
}

test('SimMachine.write() stops a vCPU at a missing page, and no other', async () => {
  const { machine, bring } = await postcopied();
  const told: PageFault[] = [];
  const stop = machine.faults.watch((fault) => told.push(fault));
  expect(machine.write(100)).toBe(false);
  expect(machine.faults.waiting()).toEqual([{ vcpu: 0, block: 1, pfn: 4 }]);
  bring(0, 2);
  expect([machine.write(2), machine.write(3)]).toEqual([false, false]);
  expect(machine.faults.waiting()).toHaveLength(2);
  expect(machine.repeatable()).toEqual([]);
  bring(1, 4);
  expect(machine.repeatable()).toEqual([100]);
  expect(machine.write(100)).toBe(true);
  expect(machine.write(2)).toBe(true);
  stop();
  expect(machine.write(4)).toBe(false);
  expect(told).toEqual([
    { vcpu: 0, block: 1, pfn: 4 },
    { vcpu: 1, block: 0, pfn: 3 },
  ]);
});

test('SimMachine.pause() calls a vCPU that waits away, and it waits anew', async () => {
  const { machine } = await postcopied();
  machine.write(6);
  await machine.pause('operator');
  expect(machine.faults.waiting()).toEqual([]);
  expect(machine.repeatable()).toEqual([]);
  const told: PageFault[] = [];
  machine.faults.watch((fault) => told.push(fault));
  machine.resume('operator');
  machine.step(new Random(1), 0);
  expect(told).toEqual([{ vcpu: 0, block: 0, pfn: 6 }]);
  expect(machine.faults.statistics().vcpus[0]).toMatchObject({ faults: 1 });
});

test('SimMachine.step() goes on in post-copy and ends with exact RAM', async () => {
  const { machine, bring } = await postcopied();
  machine.faults.watch(({ block, pfn }) => bring(block, pfn));
  const before = machine.steps;
  expect(() => machine.problems()).toThrow('has not arrived');
  machine.step(new Random(8), 300);
  for (const [block, { layout, bytes }] of machine.memory.blocks.entries()) {
    for (let pfn = 0; pfn < layout.pageCount; pfn += 1)
      if (bytes[layout.receivedMap + pfn] === 0) bring(block, pfn);
  }
  machine.setPostcopy(false);
  machine.step(new Random(9), 100);
  expect(machine.steps).toBeGreaterThan(before + 100);
  expect(machine.problems()).toEqual([]);
  // What came is what it would leave to the next one.
  expect(machine.pagesThatDiffer(machine.memory)).toEqual([]);
});

test('SimMachine.faults counts by its clock, with the waits that go on', async () => {
  const { machine, clock, bring } = await postcopied();
  machine.write(0);
  await clock.advance(3);
  machine.write(1);
  await clock.advance(5);
  expect(machine.faults.statistics()).toMatchObject({
    vcpus: [
      { faults: 1, blockedMs: 8, meanLatencyNs: 8e6 },
      { faults: 1, blockedMs: 5, meanLatencyNs: 5e6 },
    ],
    allBlockedMs: 5,
  });
  bring(0, 0);
  await clock.advance(4);
  bring(0, 1);
  const { vcpus, allBlockedMs, latencyBuckets } = machine.faults.statistics();
  expect(vcpus.map(({ blockedMs }) => blockedMs)).toEqual([8, 9]);
  expect(allBlockedMs).toBe(5);
  // 8000 us are in [4096, 8192), 9000 us in [8192, 16384).
  expect([latencyBuckets[12], latencyBuckets[13]]).toEqual([1, 1]);
});

test('SimMachine.setPostcopy() is refused while the guest runs', () => {
  const machine = simMachine();
  expect(() => machine.setPostcopy(true)).toThrow(expect.objectContaining({ code: 'E_STATE' }));
});
