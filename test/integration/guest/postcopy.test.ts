import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { Random } from '../../../src/base/index.ts';
import type { WorkloadMachine } from '../../../src/guest/index.ts';
import type { PageFault } from '../../../src/guestmem/index.ts';
import {
  type GuestOptions,
  guestOf,
  letEachVcpuWrite,
  letWrite,
  MIB,
  startGuest,
  TWO_BLOCKS,
} from './guests.ts';

/**
 * Goal: vCPUs that run into missing pages all the time lose no wake-up, pause and flip whenever
 * they are asked to, and leave RAM and registers exact. Method: a guest that has run is moved, all
 * its pages are declared missing, and they come back in random order while the guest runs.
 */

/** Far beyond what anything here takes: a lost wake-up is told by it, and by nothing else. */
const DEADLINE_MS = 20_000;

interface Moved {
  readonly source: WorkloadMachine;
  /** Its state, and none of its pages. */
  readonly machine: WorkloadMachine;
}

/** A guest that has run and stands still, and its destination, which stands still too. */
async function moved(spec: string, options: GuestOptions): Promise<Moved> {
  const source = await startGuest(spec, options);
  await source.waitBooted();
  await letWrite(source, 5000);
  await source.pause('migration');
  const machine = await guestOf(source.description, true);
  await machine.load(await source.save());
  machine.setPostcopy(true);
  return { source, machine };
}

type Page = Omit<PageFault, 'vcpu'>;

/** As a migration does: the bytes, and then the mark. */
function put({ source, machine }: Moved, { block, pfn }: Page): void {
  const { bytes, layout, ram } = machine.memory.blocks[block]!;
  source.memory.blocks[block]!.ram.copy(ram, pfn * 4096, pfn * 4096, (pfn + 1) * 4096);
  Atomics.store(bytes, layout.receivedMap + pfn, 1);
}

function bring(guest: Moved, page: Page): void {
  put(guest, page);
  guest.machine.faults.wake();
}

function bringAll(guest: Moved): void {
  for (const [block, ram] of guest.machine.memory.blocks.entries())
    for (let pfn = 0; pfn < ram.layout.pageCount; pfn += 1)
      if (!ram.isReceived(pfn)) put(guest, { block, pfn });
  guest.machine.setPostcopy(false);
}

/** Says what did not happen in time, instead of hanging. */
async function within<Result>(what: string, promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not in time: ${what}`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function turnsUntil(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function everyVcpuWaits(machine: WorkloadMachine): boolean {
  return machine.faults.waiting().length === machine.description.vcpuCount;
}

/** A second thread that brings every page, in random order. */
function startBringer({ source, machine }: Moved, seed: number): Promise<unknown> {
  const thread = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const at = (path) => import(new URL(path, workerData.dist).href);
     Promise.all([at('guest/index.js'), at('base/index.js')]).then(async ([guest, base]) => {
       const machine = guest.AttachedMachine.attach(workerData.handles);
       const source = guest.AttachedMachine.attach(workerData.source);
       const random = new base.Random(workerData.seed);
       const pages = machine.memory.blocks.flatMap((block) =>
         Array.from({ length: block.layout.pageCount }, (_, pfn) => ({ block, pfn })));
       for (let left = pages.length; left > 0; left -= 1) {
         const pick = random.below(left);
         const { block, pfn } = pages[pick];
         pages[pick] = pages[left - 1];
         source.memory.blocks[block.layout.index].ram
           .copy(block.ram, pfn * 4096, pfn * 4096, (pfn + 1) * 4096);
         Atomics.store(block.bytes, block.layout.receivedMap + pfn, 1);
         machine.faults.wake();
         if (left % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
       }
       parentPort.postMessage('all pages are there');
     });`,
    {
      eval: true,
      workerData: {
        seed,
        source: source.handles(),
        handles: machine.handles(),
        dist: new URL('../../../dist/', import.meta.url).href,
      },
    },
  );
  onTestFinished(async () => void (await thread.terminate()));
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}

const GUESTS: [string, GuestOptions][] = [
  ['memwrite,fill=8M,hot=8M,pattern=random,words=8,step=512,read=30', { vcpuCount: 3 }],
  ['memwrite,fill=16M,hot=12M', { vcpuCount: 2, ramBlocks: TWO_BLOCKS }],
  ['memwrite,fill=8M,hot=4M,pattern=zipf,read=50', { vcpuCount: 2 }],
  ['memwrite,fill=12M,hot=12M,pattern=walk,read=30', { vcpuCount: 3, ramBlocks: TWO_BLOCKS }],
  ['ab', { vcpuCount: 2, ramBlocks: TWO_BLOCKS }],
];

test.each(GUESTS)(
  '%s stays exact while pages come, pauses and flips mix',
  async (spec, options) => {
    const guest = await moved(spec, options);
    const { machine } = guest;
    const random = new Random(7);
    const state = { done: false };
    machine.resume('ownership');
    const bringing = startBringer(guest, 99).then(() => (state.done = true));
    let rounds = 0;
    for (; !state.done || rounds < 20; rounds += 1) {
      if (random.below(2) === 0) await within('flip', machine.flipDirtyLogs());
      else {
        await within('pause', machine.pause('operator'));
        const before = await machine.save();
        await new Promise((resolve) => setImmediate(resolve));
        expect(await machine.save()).toEqual(before);
        machine.resume('operator');
      }
      for (let turns = random.below(4); turns > 0; turns -= 1)
        await new Promise((resolve) => setImmediate(resolve));
    }
    await bringing;
    machine.setPostcopy(false);
    await turnsUntil('no vCPU waits', () => machine.faults.waiting().length === 0);
    await within('the guest goes on', letWrite(machine, 1000));
    await machine.pause('operator');
    expect(await machine.check()).toEqual({ ok: true, pages: 4096, problems: [] });
    expect(machine.faults.statistics().vcpus.every(({ faults }) => faults > 0)).toBe(true);
  },
);

test('a guest that boots stays exact when its pages come late', async () => {
  const source = await startGuest('memwrite,fill=6M,hot=2M', { startPaused: true });
  const machine = await guestOf(source.description, true);
  const guest = { source, machine };
  machine.setPostcopy(true);
  machine.resume('ownership');
  const watched: PageFault[] = [];
  const stop = machine.faults.watch((fault) => {
    watched.push(fault);
    bring(guest, fault);
  });
  await within('the guest boots', machine.waitBooted());
  await within('each vCPU writes its part', letEachVcpuWrite(machine, 256));
  stop();
  expect(watched.length).toBeGreaterThanOrEqual(1536);
  await machine.pause('operator');
  bringAll(guest);
  expect(await machine.check()).toMatchObject({ ok: true });
});

test('a wake-up that is lost shows: pages that nobody tells of leave their vCPUs blocked', async () => {
  const guest = await moved('memwrite,fill=4M,hot=4M', { vcpuCount: 2 });
  const { machine } = guest;
  machine.resume('ownership');
  await turnsUntil('every vCPU waits', () => everyVcpuWaits(machine));
  // Without wake() only the recheck of the vCPU itself helps, once in 100 ms: far too slow for the
  // thousands of faults of the other tests.
  const before = machine.faults.waiting();
  for (const fault of before) put(guest, fault);
  await turnsUntil('the vCPUs go on', () =>
    machine.faults.statistics().vcpus.every(({ faults }) => faults === 2),
  );
  const { latencyBuckets } = machine.faults.statistics();
  expect(latencyBuckets.slice(14).reduce((sum, count) => sum + count, 0)).toBe(2);
});

test('pause(), save() and flipDirtyLogs() work while every vCPU waits for a page for ever', async () => {
  const guest = await moved('memwrite,fill=4M,hot=4M,pattern=random,read=50', { vcpuCount: 3 });
  const { machine } = guest;
  machine.resume('ownership');
  for (let round = 0; round < 200; round += 1) {
    await turnsUntil('every vCPU waits', () => everyVcpuWaits(machine));
    const waiting = machine.faults.waiting();
    await within('flip', machine.flipDirtyLogs());
    await turnsUntil('every vCPU waits again', () => everyVcpuWaits(machine));
    expect(machine.faults.waiting()).toEqual(waiting);
    await within('pause', machine.pause('operator'));
    expect(machine.faults.waiting()).toEqual([]);
    const state = await machine.save();
    machine.resume('operator');
    await turnsUntil('every vCPU waits again', () => everyVcpuWaits(machine));
    expect(machine.faults.waiting()).toEqual(waiting);
    // Nothing was done meanwhile.
    await within('pause', machine.pause('operator'));
    const [vcpu] = (await machine.save()).sections;
    expect(vcpu).toEqual(state.sections[0]);
    machine.resume('operator');
  }
  const { vcpus } = machine.faults.statistics();
  expect(vcpus.map(({ faults }) => faults)).toEqual([1, 1, 1]);
  await machine.pause('operator');
  await expect(machine.check()).rejects.toMatchObject({
    code: 'E_STATE',
    detail: { missing: 4096 },
  });
  bringAll(guest);
  expect(await machine.check()).toMatchObject({ ok: true });
});

test('destroy() ends vCPUs that wait', async () => {
  const guest = await moved('memwrite,fill=1M,hot=1M', { vcpuCount: 2 });
  const { machine } = guest;
  machine.resume('ownership');
  await turnsUntil('every vCPU waits', () => everyVcpuWaits(machine));
  await within('destroy', machine.destroy());
});

test('the dirty log is whole while pages are missing', async () => {
  const guest = await moved('memwrite,fill=8M,hot=8M,pattern=random', { vcpuCount: 2 });
  const { machine } = guest;
  const shadow = guest.source.memory.blocks.map((block) => Buffer.from(block.ram));
  const copy = () => {
    machine.memory.mergeRetiredLogs();
    let pages = 0;
    for (const [index, { kernels, layout, bytes, ram }] of machine.memory.blocks.entries()) {
      for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
        if (kernels.takeDirty(pfn, pfn + 1, 1, 0) === 0) continue;
        expect(bytes[layout.receivedMap + pfn]).toBe(1);
        ram.copy(shadow[index]!, pfn * 4096, pfn * 4096, (pfn + 1) * 4096);
        pages += 1;
      }
    }
    return pages;
  };
  const stop = machine.faults.watch((fault) => bring(guest, fault));
  machine.resume('ownership');
  let pages = 0;
  for (let round = 0; round < 10; round += 1) {
    await within('progress', letWrite(machine, 200));
    await within('flip', machine.flipDirtyLogs());
    pages += copy();
  }
  await machine.pause('migration');
  await machine.flipDirtyLogs();
  pages += copy();
  stop();
  expect(pages).toBeGreaterThan(500);
  bringAll(guest);
  expect(machine.memory.blocks.every(({ ram }, index) => ram.equals(shadow[index]!))).toBe(true);
  expect(await machine.check()).toMatchObject({ ok: true });
});

test('watch() tells each wait once, also those that began before it', async () => {
  const guest = await moved('memwrite,fill=8M,hot=8M', { vcpuCount: 2 });
  const { machine } = guest;
  machine.resume('ownership');
  await turnsUntil('every vCPU waits', () => everyVcpuWaits(machine));
  const seen: PageFault[] = [];
  const stopSeen = machine.faults.watch((fault) => seen.push(fault));
  expect(seen).toEqual(machine.faults.waiting());
  const served: PageFault[] = [];
  const stop = machine.faults.watch((fault) => {
    served.push(fault);
    bring(guest, fault);
  });
  const faults = () =>
    machine.faults.statistics().vcpus.reduce((sum, vcpu) => sum + vcpu.faults, 0);
  await turnsUntil('every page has come', () => faults() === 2048);
  await within('progress', letWrite(machine, 5000));
  expect(faults()).toBe(2048);
  const key = ({ block, pfn }: PageFault) => block * 2 ** 20 + pfn;
  // Nobody paused or flipped, so each page was waited for once. Whoever looks later than the one
  // that serves finds some waits over, and none twice.
  expect(new Set(served.map(key)).size).toBe(2048);
  expect(served).toHaveLength(2048);
  expect(new Set(seen.map(key)).size).toBe(seen.length);
  stop();
  stopSeen();
});

test('statistics() measures what each vCPU waited, while it waits too', async () => {
  const guest = await moved('memwrite,fill=2M,hot=2M', { vcpuCount: 2 });
  const { machine } = guest;
  machine.resume('ownership');
  await turnsUntil('every vCPU waits', () => everyVcpuWaits(machine));
  const early = machine.faults.statistics();
  await turnsUntil('time passes', () => {
    return machine.faults.statistics().allBlockedMs >= early.allBlockedMs + 5;
  });
  const late = machine.faults.statistics();
  for (const [vcpu, { blockedMs }] of late.vcpus.entries())
    expect(blockedMs - early.vcpus[vcpu]!.blockedMs).toBeGreaterThanOrEqual(5);
  expect(late.latencyBuckets.every((count) => count === 0)).toBe(true);
  const [first] = machine.faults.waiting();
  bring(guest, first!);
  await turnsUntil('the vCPU faults again', () => {
    return machine.faults.statistics().vcpus[first!.vcpu]!.faults === 2;
  });
  const { latencyBuckets } = machine.faults.statistics();
  expect(latencyBuckets).toHaveLength(24);
  // 5 ms are in the bucket of 4.1 ms or in a later one.
  expect(latencyBuckets.slice(12).reduce((sum, count) => sum + count, 0)).toBe(1);
  await machine.pause('operator');
  machine.setPostcopy(true);
  expect(machine.faults.statistics()).toMatchObject({ allBlockedMs: 0 });
  expect(machine.faults.statistics().vcpus[0]).toEqual({
    faults: 0,
    blockedMs: 0,
    meanLatencyNs: 0,
  });
});

test('setPostcopy() is refused while the guest runs, and off wakes at any time', async () => {
  const guest = await moved(`memwrite,fill=${MIB},hot=${MIB}`, { vcpuCount: 2 });
  const { machine } = guest;
  machine.resume('ownership');
  expect(() => machine.setPostcopy(true)).toThrow(expect.objectContaining({ code: 'E_STATE' }));
  await turnsUntil('every vCPU waits', () => everyVcpuWaits(machine));
  bringAll(guest);
  await within('the guest goes on', letWrite(machine, 1000));
});
