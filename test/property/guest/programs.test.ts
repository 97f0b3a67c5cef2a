import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import { instantiatePrograms, type WorkloadProgram } from '../../../src/guest/index.ts';
import { dirtyMapAddress, GuestMemory, type RamBlock } from '../../../src/guestmem/index.ts';
import { ReferenceGuest } from '../../reference/guest-programs.ts';

/**
 * The programs of the published workloads equal a plain reference, over the border of two RAM
 * blocks, whatever budget a slice has, and whichever page is missing the first time that it is
 * needed: then the slice is thrown out of, and goes on from what the program noted.
 */

const BLOCKS = [5, 7];
const PAGES = 12;

class Interrupted extends Error {}

class RealGuest {
  readonly memory: GuestMemory;
  readonly programs: readonly WorkloadProgram[];

  /** `missing`: pages that come only when they were asked for. */
  constructor(seed: number, missing: readonly number[]) {
    const blocks = BLOCKS.map((pages, index) => ({
      name: `ram${index}`,
      bytes: pages * PAGE_BYTES,
    }));
    this.memory = GuestMemory.allocate(blocks, 1);
    this.programs = instantiatePrograms(this.memory, seed, {
      guestFault: () => {
        throw new Error('A program stays inside RAM');
      },
      pageMissing: (block, pfn) => {
        Atomics.store(block.bytes, block.layout.receivedMap + pfn, 1);
        throw new Interrupted();
      },
    });
    for (const [index, { layout, bytes }] of this.memory.blocks.entries()) {
      this.programs[index]?.mmuSelectMap(dirtyMapAddress(layout, 0, 0));
      this.programs[index]?.mmuPostcopy(missing.length > 0);
      for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
        const isMissing = missing.includes(layout.firstPfn + pfn);
        bytes[layout.receivedMap + pfn] = isMissing ? 0 : 1;
      }
    }
  }

  /** The one of the block that has the page. */
  program(pfn: number): WorkloadProgram {
    const index = this.memory.blocks.findIndex(
      ({ layout }) => pfn < layout.firstPfn + layout.pageCount,
    );
    return this.programs[index]!;
  }

  /** False when it was interrupted. */
  tries(access: () => void): boolean {
    try {
      access();
      return true;
    } catch (thrown) {
      if (!(thrown instanceof Interrupted)) throw thrown;
      return false;
    }
  }

  expectSame(reference: ReferenceGuest): void {
    const ram = Buffer.concat(this.memory.blocks.map((block) => block.ram));
    expect(ram.equals(reference.ram)).toBe(true);
    const marked = this.memory.blocks.flatMap((block) => marksOf(block));
    expect(marked).toEqual([...reference.written].sort((first, second) => first - second));
  }
}

function marksOf({ layout, bytes }: RamBlock): number[] {
  const map = dirtyMapAddress(layout, 0, 0);
  const pages = Array.from({ length: layout.pageCount }, (_, pfn) => pfn);
  return pages.filter((pfn) => bytes[map + pfn] === 1).map((pfn) => layout.firstPfn + pfn);
}

/** A vCPU's part of its range, how many pages it writes in all, and in slices of what budgets. */
const part = fc
  .tuple(fc.nat({ max: PAGES - 1 }), fc.integer({ min: 1, max: PAGES }))
  .map(([first, pages]) => ({ first, pages: Math.min(pages, PAGES - first) }));
const total = fc.integer({ min: 1, max: 40 });
const budget = fc.integer({ min: 1, max: 9 });
const seed = fc.nat({ max: 2 ** 32 - 1 });
const missing = fc.uniqueArray(fc.nat({ max: PAGES - 1 }), { maxLength: 6 });

/** Runs slices until so many pages were written, each from where the last one ended. */
function runSlices(
  guest: RealGuest,
  { first, pages }: { first: number; pages: number },
  count: number,
  slice: (program: WorkloadProgram, pfn: number, written: number, most: number) => number,
  most: number,
): void {
  let written = 0;
  let pfn = first;
  while (written < count) {
    const program = guest.program(pfn);
    const want = Math.min(most, count - written);
    let returned = 0;
    const isWhole = guest.tries(() => {
      returned = slice(program, pfn, written, want);
    });
    const done = program.pagesDone();
    if (isWhole) expect(returned).toBe(done);
    expect(done).toBeLessThanOrEqual(want);
    written += done;
    pfn = program.nextPfn();
    expect(pfn).toBe(first + (written % pages));
  }
}

describe('the programs of the workloads', () => {
  test('lmbench sweeps its part as the reference does', () => {
    const units = fc.constantFrom<[number, number]>([1, 1], [1, 1024], [4, 4], [4, 16], [4, 4096]);
    fc.assert(
      fc.property(part, total, budget, missing, units, (range, count, most, absent, how) => {
        const guest = new RealGuest(1, absent);
        const reference = new ReferenceGuest(PAGES, 1);
        for (const program of guest.programs) {
          program.lmbenchConfigure(range.first, range.pages, ...how);
        }
        runSlices(
          guest,
          range,
          count,
          (program, pfn, _, want) => program.lmbenchRun(pfn, want),
          most,
        );
        for (let page = 0; page < count; page += 1) {
          reference.lmbenchPage(range.first + (page % range.pages), ...how);
        }
        guest.expectSame(reference);
      }),
      { numRuns: 60 },
    );
  });

  test('stream writes the frames of the reference, with their checksums', () => {
    const rings = fc
      .record({
        first: fc.nat({ max: 3 }),
        framePages: fc.integer({ min: 1, max: 3 }),
        frames: fc.integer({ min: 1, max: 3 }),
        changedBytes: fc.constantFrom(0, 8, 1024, PAGE_BYTES - 16),
      })
      .map(({ frames, ...ring }) => ({ ...ring, pages: frames * ring.framePages }));
    fc.assert(
      fc.property(rings, total, budget, missing, seed, (ring, count, most, absent, noiseSeed) => {
        const guest = new RealGuest(noiseSeed, absent);
        const reference = new ReferenceGuest(PAGES, noiseSeed);
        const { first, pages, framePages, changedBytes } = ring;
        for (const program of guest.programs) {
          program.streamConfigure(first, pages, framePages, changedBytes);
        }
        const versionOf = (page: number) => 1 + Math.floor(page / pages);
        runSlices(
          guest,
          ring,
          count,
          (program, pfn, written, want) => program.streamRun(pfn, versionOf(written), want),
          most,
        );
        for (let page = 0; page < count; page += 1) {
          reference.streamPage(first + (page % pages), versionOf(page), ring);
        }
        guest.expectSame(reference);
      }),
      { numRuns: 40 },
    );
  });

  test('erp commits what the reference does, and nothing where the table is missing', () => {
    const commits = fc.array(
      fc.record({
        table: fc.nat({ max: PAGES - 1 }),
        session: fc.nat({ max: 255 }),
        number: fc.nat({ max: 2 ** 32 - 1 }),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(commits, missing, (list, absent) => {
        const guest = new RealGuest(1, absent);
        const reference = new ReferenceGuest(PAGES, 1);
        for (const { table, session, number } of list) {
          const program = guest.program(table);
          const commit = () => program.erpCommit(table, session, number);
          if (!guest.tries(commit)) {
            guest.expectSame(reference);
            expect(guest.tries(commit)).toBe(true);
          }
          reference.erpCommit(table, session, number);
          expect(program.erpCommitted(table, session) >>> 0).toBe(number);
        }
        guest.expectSame(reference);
      }),
      { numRuns: 60 },
    );
  });
});
