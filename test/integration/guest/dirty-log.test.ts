import { expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import type { WorkloadMachine } from '../../../src/guest/index.ts';
import { PFN_LIST } from '../../../src/guestmem/block/block-layout.ts';
import { type GuestOptions, letEachVcpuWrite, startGuest, TWO_BLOCKS } from './guests.ts';

/**
 * Goal: the dirty log loses no write under concurrent writers. Method: a shadow of RAM is kept as
 * an engine would keep it: flip, merge, take the dirty pages, copy each once. When the guest stands
 * still, a last round must make it equal.
 */

const ROUNDS = 40;

type Merge = (machine: WorkloadMachine) => void;

const mergeAll: Merge = (machine) => {
  machine.memory.mergeRetiredLogs();
};

/** A defect on purpose: the marks of one vCPU are thrown away. */
const mergeAllButLastVcpu: Merge = ({ memory }) => {
  const dropped = memory.logCount - 2;
  for (let log = 0; log < memory.logCount; log += 1) {
    if (log === dropped) continue;
    for (const block of memory.blocks) block.mergeRetiredLog(log, 1 - memory.activeMap(log));
  }
};

function copyDirtyPages(machine: WorkloadMachine, shadow: readonly Buffer[]): number {
  let pages = 0;
  for (const [index, block] of machine.memory.blocks.entries()) {
    const list = new Uint32Array(block.memory.buffer, PFN_LIST, 256);
    for (let from = 0; from < block.layout.pageCount; ) {
      const { count, next } = block.takeDirty(from, 256);
      for (const pfn of list.subarray(0, count)) {
        block.ram.copy(shadow[index]!, pfn * PAGE_BYTES, pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
      }
      pages += count;
      from = next;
    }
  }
  return pages;
}

async function shadowEqualsRam(
  spec: string,
  options: GuestOptions,
  merge: Merge,
): Promise<boolean> {
  const machine = await startGuest(spec, options);
  const shadow = machine.memory.blocks.map((block) => Buffer.alloc(block.ram.length));
  let pages = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await machine.flipDirtyLogs();
    merge(machine);
    pages += copyDirtyPages(machine, shadow);
  }
  await machine.pause('migration');
  await machine.flipDirtyLogs();
  merge(machine);
  pages += copyDirtyPages(machine, shadow);
  expect(pages).toBeGreaterThan(1000);
  expect(await machine.check()).toMatchObject({ ok: true });
  return machine.memory.blocks.every((block, index) => block.ram.equals(shadow[index]!));
}

const GUESTS: [string, GuestOptions][] = [
  ['memwrite,fill=8M,hot=4M,pattern=random', { vcpuCount: 3 }],
  ['memwrite,fill=8M,hot=8M,pattern=zipf,words=8,step=512,read=20', { vcpuCount: 2 }],
  ['memwrite,hot=4M,rate=200000', { vcpuCount: 2 }],
  ['memwrite,fill=16M,hot=12M,pattern=random', { vcpuCount: 2, ramBlocks: TWO_BLOCKS }],
  ['ab', { vcpuCount: 3 }],
];

test.each(GUESTS)('flip and merge lose no write of %s', async (spec, options) => {
  expect(await shadowEqualsRam(spec, options, mergeAll)).toBe(true);
});

test('the comparison finds a log that is dropped', async () => {
  const spec = 'memwrite,fill=8M,hot=8M,pattern=random';
  expect(await shadowEqualsRam(spec, { vcpuCount: 3 }, mergeAllButLastVcpu)).toBe(false);
});

test('flipDirtyLogs() leaves every earlier store in the retired maps', async () => {
  const machine = await startGuest('memwrite,hot=1M,words=4', { vcpuCount: 2 });
  await letEachVcpuWrite(machine, 128);
  await machine.pause('operator');
  await machine.flipDirtyLogs();
  expect(machine.memory.mergeRetiredLogs()).toBe(256);
  await machine.flipDirtyLogs();
  expect(machine.memory.mergeRetiredLogs()).toBe(0);
});
