import { describe, expect, test } from 'vitest';
import { WorkloadMachine as Machine, type WorkloadMachine } from '../../../src/guest/index.ts';
import { until } from '../../support/until.ts';
import {
  accesses,
  describeGuest,
  type GuestOptions,
  guestOf,
  letEachVcpuWrite,
  letWrite,
  MIB,
  startGuest,
  TWO_BLOCKS,
} from './guests.ts';

async function moveTo(
  source: WorkloadMachine,
  description = source.description,
): Promise<WorkloadMachine> {
  await source.pause('migration');
  const destination = await guestOf(description, true);
  for (const [index, block] of source.memory.blocks.entries()) {
    destination.memory.blocks[index]!.ram.set(block.ram);
  }
  await destination.load(await source.save());
  return destination;
}

function add(ram: Buffer, offset: number, difference: number): void {
  ram[offset] = ram[offset]! + difference;
}

const TWO: GuestOptions = { ramBlocks: TWO_BLOCKS, vcpuCount: 3 };

test.each<[string, GuestOptions, number]>([
  ['idle,fill=7M', TWO, 0],
  ['memwrite,fill=8M,hot=2M', {}, 20_000],
  ['memwrite,fill=2M,hot=8M,words=8,step=512', TWO, 20_000],
  ['memwrite,hot=8M,pattern=random,read=50', TWO, 20_000],
  ['memwrite,fill=12M,hot=9M,pattern=zipf,words=1024,step=4', TWO, 20_000],
  ['memwrite,fill=6M,hot=9M,pattern=walk,read=20', TWO, 20_000],
  // Each part is smaller than a step of the walk.
  ['memwrite,hot=256K,pattern=walk', TWO, 20_000],
  ['ab', {}, 20_000],
  ['ab', TWO, 20_000],
  ['lmbench,fill=7M,size=9M,stride=64', TWO, 20_000],
  ['lmbench,fill=2M,size=8M,unit=1,stride=1K', TWO, 20_000],
  ['lmbench,size=3M,unit=1,stride=1', { vcpuCount: 1 }, 20_000],
  ['stream,fill=7M,ring=8M,frame=64K,fps=1000', TWO, 20_000],
  ['stream,ring=5M,frame=12K,fps=1000,change=30', TWO, 8000],
  ['erp,heap=10M,rate=100000', TWO, 20_000],
  ['erp,heap=12M,hot=9M,pattern=zipf,read=30,rate=100000', TWO, 20_000],
])('%s moves with its state and goes on exactly, %o', async (spec, options, pages) => {
  const source = await startGuest(spec, options);
  await source.waitBooted();
  await letWrite(source, pages);
  const destination = await moveTo(source);
  expect(await source.check()).toEqual({ ok: true, pages: 4096, problems: [] });
  expect(await destination.check()).toEqual({ ok: true, pages: 4096, problems: [] });
  expect(destination.progress()).toEqual(source.progress());
  expect(destination.consoleText()).toBe(source.consoleText());
  expect(destination.guestTimeMs()).toBe(source.guestTimeMs());
  destination.resume('ownership');
  await letWrite(destination, pages);
  await destination.pause('operator');
  expect(await destination.check()).toEqual({ ok: true, pages: 4096, problems: [] });
  expect(destination.guestTimeMs()).toBeGreaterThan(source.guestTimeMs());
});

test('a guest moves while it boots, and the destination ends the boot', async () => {
  const source = await startGuest('memwrite,fill=250M,hot=64M', { ramBytes: 256 * MIB });
  const destination = await moveTo(source);
  expect(source.progress().booted).toBe(false);
  expect(await source.check()).toMatchObject({ ok: true });
  destination.resume('ownership');
  await destination.waitBooted();
  await letWrite(destination, 1000);
  await destination.pause('operator');
  expect(await destination.check()).toMatchObject({ ok: true, pages: 65536 });
});

test('the same seed makes the same noise, another seed another', async () => {
  const ram = async (seed: number) => {
    const machine = await startGuest('idle,fill=1M', { seed, vcpuCount: seed === 1 ? 1 : 2 });
    await machine.waitBooted();
    return machine.memory.blocks[0]!.ram;
  };
  const [first, again, other] = [await ram(1), await ram(1), await ram(2)];
  expect(first.equals(again)).toBe(true);
  expect(first.equals(other)).toBe(false);
});

describe('check()', () => {
  const damages: [string, (ram: Buffer, old: Buffer) => void, RegExp][] = [
    ['a changed byte of noise', (ram) => add(ram, 6 * MIB + 9, 1), /page 1536 holds/],
    ['a byte in an untouched page', (ram) => add(ram, 12 * MIB + 4095, 1), /page 3072 holds/],
    ['a torn page', (ram, old) => void old.copy(ram, 4096 + 512, 4096 + 512, 8192), /page 1 holds/],
    ['a stale page', (ram, old) => void old.copy(ram, 0, 0, 4096), /its pages tell of/],
    ['a misplaced page', (ram) => void ram.copy(ram, 4096, 8192, 12288), /page 1 holds/],
  ];

  test.each(damages)('finds %s', async (_, spoil, problem) => {
    // One vCPU, so that every hot page has been written again.
    const machine = await startGuest('memwrite,fill=8M,hot=2M,words=8,step=512', { vcpuCount: 1 });
    await machine.waitBooted();
    await letWrite(machine, 1000);
    await machine.pause('operator');
    const old = Buffer.from(machine.memory.blocks[0]!.ram);
    machine.resume('operator');
    await letWrite(machine, 2000);
    await machine.pause('operator');
    expect((await machine.check()).ok).toBe(true);
    spoil(machine.memory.blocks[0]!.ram, old);
    const { ok, problems } = await machine.check();
    expect(ok).toBe(false);
    expect(problems[0]).toMatch(problem);
  });

  test('finds a stale page of ab, and tells at most 16 problems', async () => {
    const machine = await startGuest('ab', { vcpuCount: 1 });
    await letWrite(machine, 10_000);
    await machine.pause('operator');
    const { ram } = machine.memory.blocks[0]!;
    add(ram, 5 * MIB, -1);
    expect((await machine.check()).problems).toEqual([
      expect.stringMatching(/^page 1280 holds 0x/),
    ]);
    for (let page = 2000; page < 2100; page += 1) add(ram, page * 4096, -1);
    expect((await machine.check()).problems).toHaveLength(16);
  });

  test('refuses a guest that runs', async () => {
    const machine = await startGuest('idle');
    await expect(machine.check()).rejects.toMatchObject({ code: 'E_STATE' });
    await expect(machine.save()).rejects.toMatchObject({ code: 'E_STATE' });
  });
});

test('load() refuses a state that cannot be, and changes nothing', async () => {
  const source = await startGuest('memwrite,fill=1M,hot=1M', {});
  await letEachVcpuWrite(source, 1);
  await source.pause('operator');
  const good = await source.save();
  const target = await guestOf(source.description, true);
  const before = await target.save();
  const spoilt = (name: string, spoil: (bytes: Buffer) => Uint8Array) => ({
    sections: good.sections.map((section) =>
      section.name === name ? { ...section, bytes: spoil(Buffer.from(section.bytes)) } : section,
    ),
  });
  const word = (offset: number, value: number) => (bytes: Buffer) => {
    bytes.writeUInt32LE(value, offset);
    return bytes;
  };
  const [vcpu, clock, device] = good.sections;
  const bad = [
    { sections: [] },
    { sections: [vcpu!, clock!] },
    { sections: [vcpu!, clock!, device!, device!] },
    { sections: [vcpu!, clock!, device!, { ...device!, name: 'constructor' }] },
    { sections: [{ ...vcpu!, version: 2 }, clock!, device!] },
    spoilt('vcpu', (bytes) => bytes.subarray(1)),
    spoilt('vcpu', word(0, 3)),
    spoilt('vcpu', word(256, 0)),
    spoilt('vcpu', word(4, 128)),
    spoilt('vcpu', word(8, 0)),
    spoilt('vcpu', word(20, 0x7ff80000)),
    spoilt('vcpu', word(100, 1)),
    spoilt('clock', word(4, 0xffffffff)),
  ];
  for (const [index, state] of bad.entries()) {
    const loading = expect(target.load(state), `state ${index}`);
    await loading.rejects.toMatchObject({ code: 'E_MACHINE_STATE' });
  }
  expect(await target.save()).toEqual(before);
  await target.load(good);
  expect(await target.save()).toEqual(good);
});

test('rate= is kept to over all vCPUs, and a pause is not made up for', async () => {
  const machine = await startGuest('memwrite,hot=4M,rate=40000', { vcpuCount: 2 });
  await letWrite(machine, 100);
  const [from, fromMs] = [accesses(machine), machine.guestTimeMs()];
  await letWrite(machine, 8000);
  await machine.pause('operator');
  await new Promise((resolve) => setTimeout(resolve, 100));
  machine.resume('operator');
  await letWrite(machine, 8000);
  const pagesPerSecond = (1000 * (accesses(machine) - from)) / (machine.guestTimeMs() - fromMs);
  // A busy host may keep it from its rate; nothing may push it beyond.
  expect(pagesPerSecond / 40_000).toBeGreaterThan(0.5);
  expect(pagesPerSecond / 40_000).toBeLessThan(1.15);
});

test('an idle guest ticks about once a millisecond', async () => {
  const machine = await startGuest('idle', { vcpuCount: 1 });
  const [from, fromMs] = [machine.progress().ticks, machine.guestTimeMs()];
  while (machine.progress().ticks < from + 200)
    await new Promise((resolve) => setTimeout(resolve, 5));
  const ticksPerMs = (machine.progress().ticks - from) / (machine.guestTimeMs() - fromMs);
  expect(ticksPerMs).toBeGreaterThan(0.2);
  expect(ticksPerMs).toBeLessThan(1.05);
});

test('an 8 GiB guest costs what it touched', async () => {
  const before = process.memoryUsage().rss;
  const machine = await startGuest('memwrite,fill=20M,hot=8M', {
    ramBytes: 8192 * MIB,
    vcpuCount: 2,
  });
  expect(machine.description.ramBlocks).toHaveLength(4);
  await machine.waitBooted();
  await letWrite(machine, 10_000);
  expect((process.memoryUsage().rss - before) / MIB).toBeLessThan(130);
});

test('create() refuses a description that cannot be built', async () => {
  const description = { ...describeGuest('idle'), vcpuCount: 17 };
  await expect(Machine.create({ description, startPaused: true })).rejects.toMatchObject({
    code: 'E_CONFIG_INVALID',
  });
});

test('an idle guest is not busy, and one that writes all the time is', async () => {
  const idle = await startGuest('idle,fill=1M', {});
  await idle.waitBooted();
  const busy = await startGuest('memwrite,fill=1M,hot=1M', {});
  await busy.waitBooted();
  const ticks = (count: number) =>
    until('the idle guest ticks', () => idle.progress().ticks >= count || undefined);
  // Its last slice of the boot has ended then.
  await ticks(1);
  const [idleMs, busyMs] = [idle.busyMs(), busy.busyMs()];
  await letWrite(busy, 20_000);
  await ticks(idle.progress().ticks + 5);
  expect(idle.busyMs()).toEqual(idleMs);
  expect(busy.busyMs()[0]).toBeGreaterThan(busyMs[0] ?? 0);
});
