import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { DriveSpec } from '../../../../src/guest/index.ts';
import type { MachineState, PageFault } from '../../../../src/guestmem/index.ts';
import { guestTest } from '../../../support/riscv-compiler.ts';
import { RiscvGuest, testDrive } from '../../../support/riscv-guest.ts';
import { until } from '../../../support/until.ts';

/**
 * Goal: whatever in the machine touches a page that is missing waits for exactly that page, can be
 * called away from it, and happens once and whole when it has come. Method: a guest waits for its
 * host just before the access (test/guests/riscv/missing.c); it goes on where only those pages are
 * missing.
 */

interface MissingCase {
  readonly what: string;
  readonly variant: number;
  /** Pages that are missed, in this order, counted from `first_page`. */
  readonly pages: readonly number[];
  readonly isSupervisor?: boolean;
  readonly hasDrive?: boolean;
}

const CASES: readonly MissingCase[] = [
  { what: 'a fetch', variant: 0, pages: [0] },
  { what: 'a fetch across pages', variant: 1, pages: [0, 1] },
  { what: 'a page-table walk', variant: 2, pages: [0, 1] },
  { what: 'an AMO', variant: 3, pages: [0] },
  { what: 'LR', variant: 4, pages: [0] },
  { what: 'SC', variant: 5, pages: [0] },
  { what: 'a load across pages', variant: 6, pages: [0, 1] },
  { what: 'a store across pages', variant: 7, pages: [0, 1] },
  { what: 'a disk that reads to RAM', variant: 8, pages: [0, 1], hasDrive: true },
  { what: 'a disk that writes from RAM', variant: 13, pages: [0, 1], hasDrive: true },
  { what: 'the random device', variant: 9, pages: [0] },
  { what: 'a virtio queue', variant: 12, pages: [0, 1] },
  { what: 'a text for the debug console', variant: 10, pages: [0, 1], isSupervisor: true },
  { what: 'room for input of the debug console', variant: 11, pages: [0, 1], isSupervisor: true },
];

const NAMED = CASES.map((each) => [each.what, each] as const);

const DISK_BYTES = 8192;
const PATTERN = 0x1122_3344_5566_7788n;
/** What the guest reads or writes, from sector 2 on. */
const DISK_CONTENT = Buffer.from(
  BigUint64Array.from({ length: 128 }, (_, index) => BigInt(index) * PATTERN).buffer,
);

/** A disk; with the content, or empty. */
function drive(isFull: boolean): DriveSpec {
  const bytes = Buffer.alloc(DISK_BYTES);
  if (isFull) DISK_CONTENT.copy(bytes, 1024);
  return testDrive(bytes);
}

interface Moved {
  readonly source: RiscvGuest;
  readonly guest: RiscvGuest;
}

/** The guest just before its access, where everything is but these pages. It stands still. */
async function moved(each: MissingCase): Promise<Moved> {
  const { variant, isSupervisor = false, hasDrive = false } = each;
  const source = await RiscvGuest.start(
    { name: 'missing', variant, isSupervisor },
    { drives: hasDrive ? [drive(variant === 8)] : [] },
  );
  await source.says('ready\n');
  await source.machine.pause('migration');
  const guest = source.at(await source.twin());
  await guest.machine.load(await source.machine.save());
  const missing = each.pages.map((page) => source.pfn('first_page', page));
  const { pageCount } = guest.machine.memory.blocks[0]!.layout;
  for (let pfn = 0; pfn < pageCount; pfn += 1)
    if (!missing.includes(pfn)) put({ source, guest }, pfn);
  guest.machine.setPostcopy(true);
  return { source, guest };
}

/** As a migration does: the bytes, and then the mark. */
function put({ source, guest }: Moved, pfn: number): void {
  source.ram.copy(guest.ram, pfn * 4096, pfn * 4096, (pfn + 1) * 4096);
  const { bytes, layout } = guest.machine.memory.blocks[0]!;
  Atomics.store(bytes, layout.receivedMap + pfn, 1);
}

function waits({ guest }: Moved): Promise<PageFault> {
  return until('the vCPU waits for a page', () => {
    const { event } = guest.machine;
    if (event !== undefined) throw new Error(`It ends: ${guest.drain()}`);
    return guest.machine.faults.waiting()[0];
  });
}

/** All but the clock, which goes on whenever the guest may run. */
function withoutClock({ sections }: MachineState): unknown {
  return sections.filter(({ name }) => name !== 'clock');
}

/** Calls the vCPU away from its wait in all ways; nothing has happened by that. */
async function callAway(move: Moved): Promise<void> {
  const { machine } = move.guest;
  const page = (await waits(move)).pfn;
  for (let round = 0; round < 3; round += 1) {
    await machine.flipDirtyLogs();
    machine.memory.mergeRetiredLogs();
    expect((await waits(move)).pfn).toBe(page);
    await machine.pause('operator');
    const before = await machine.save();
    machine.resume('operator');
    expect((await waits(move)).pfn).toBe(page);
    await machine.pause('operator');
    expect(withoutClock(await machine.save())).toEqual(withoutClock(before));
    // Its own state is as good as any other.
    await machine.load(before);
    machine.resume('operator');
    expect((await waits(move)).pfn).toBe(page);
  }
}

async function checkAfter(each: MissingCase, move: Moved): Promise<void> {
  const { guest, source } = move;
  await guest.passes();
  if (each.variant === 10) expect(guest.printed).toBe('over the end of a page\npass\n');
  if (each.variant !== 13) return;
  await source.machine.destroy();
  const { file } = guest.machine.handles().drives[0]!;
  expect(readFileSync(file).subarray(1024, 2048).equals(DISK_CONTENT)).toBe(true);
}

guestTest.each(NAMED)('%s waits for a missing page, and happens once', async (_, each) => {
  const move = await moved(each);
  const { guest } = move;
  guest.type('g');
  guest.machine.resume('ownership');
  for (const page of each.pages) {
    const fault = await waits(move);
    expect(fault.pfn - guest.pfn('first_page')).toBe(page);
    put(move, fault.pfn);
    guest.machine.faults.wake();
    await until(
      'the vCPU goes on',
      () => guest.machine.faults.waiting()[0]?.pfn !== fault.pfn || undefined,
    );
  }
  await checkAfter(each, move);
  expect(guest.machine.faults.statistics().vcpus[0]?.faults).toBe(each.pages.length);
});

guestTest.each(NAMED)('%s can be called away from a missing page', async (_, each) => {
  const move = await moved(each);
  const { guest } = move;
  guest.type('g');
  guest.machine.resume('ownership');
  for (const page of each.pages) {
    await callAway(move);
    const fault = await waits(move);
    expect(fault.pfn - guest.pfn('first_page')).toBe(page);
    put(move, fault.pfn);
    guest.machine.faults.wake();
    await until(
      'the vCPU goes on',
      () => guest.machine.faults.waiting()[0]?.pfn !== fault.pfn || undefined,
    );
  }
  await checkAfter(each, move);
});
