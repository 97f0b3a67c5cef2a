import { describe, expect, test } from 'vitest';
import {
  instantiatePrograms,
  strictMmuHost,
  type WorkloadProgram,
} from '../../../src/guest/index.ts';
import { WRITE_PATTERNS, type WritePattern } from '../../../src/guest/workload/write-pattern.ts';
import { dirtyMapAddress, SliceInterrupted } from '../../../src/guestmem/index.ts';
import { testMemory } from '../../support/test-block.ts';

const PAGES = 2048;

interface Part {
  readonly first: number;
  readonly count: number;
}

/** A vCPU's program with a part of its own; `missing` pages throw out of it. */
function programOf(pattern: WritePattern, { first, count }: Part, readPercent = 0) {
  const { memory, block } = testMemory(PAGES);
  const host = {
    guestFault: strictMmuHost().guestFault,
    pageMissing: () => {
      throw new SliceInterrupted();
    },
  };
  const [program] = instantiatePrograms(memory, 1, host) as [WorkloadProgram];
  program.mmuSelectMap(dirtyMapAddress(block.layout, 0, 0));
  program.memwriteConfigure(first, count, WRITE_PATTERNS.indexOf(pattern), 1, 64, readPercent);
  return { program, block };
}

/** The pages of so many accesses, one after the other. */
function pagesOf(program: WorkloadProgram, first: number, accesses: number): number[] {
  let [pfn, random] = [first, 12345];
  return Array.from({ length: accesses }, () => {
    const page = pfn;
    program.memwriteRun(pfn, random, 1);
    [pfn, random] = [program.nextPfn(), program.nextRandom()];
    return page;
  });
}

describe('pattern=walk', () => {
  const part = { first: 100, count: 1500 };

  test('steps up to 64 pages either way and jumps now and then', () => {
    const pages = pagesOf(programOf('walk', part).program, part.first, 20_000);
    const steps = pages.slice(1).map((pfn, index) => {
      const up = (pfn - pages[index]! + part.count) % part.count;
      return Math.min(up, part.count - up);
    });
    const jumps = steps.filter((step) => step > 64).length / steps.length;
    expect(jumps).toBeGreaterThan(1 / 512);
    expect(jumps).toBeLessThan(1 / 128);
    expect(steps.includes(64)).toBe(true);
    expect(steps.includes(0)).toBe(true);
    expect(pages.every((pfn) => pfn >= 100 && pfn < 1600)).toBe(true);
    expect(new Set(pages).size).toBeGreaterThan(1400);
  });

  test.each([1, 2, 63, 64, 65])('stays inside a part of %i pages and visits all of it', (count) => {
    const pages = pagesOf(programOf('walk', { first: 7, count }).program, 7, 2000);
    expect(new Set(pages).size).toBe(count);
    expect(Math.min(...pages)).toBe(7);
    expect(Math.max(...pages)).toBe(6 + count);
  });

  test('is no other pattern: random writes are seldom near each other', () => {
    const pages = pagesOf(programOf('random', part).program, part.first, 2000);
    const near = pages.slice(1).filter((pfn, index) => Math.abs(pfn - pages[index]!) <= 64);
    expect(near.length).toBeLessThan(400);
  });
});

describe('memwriteRun() that runs into a missing page', () => {
  test.each(WRITE_PATTERNS)('tells of %s exactly what it did, and repeats the rest', (pattern) => {
    const part = { first: 0, count: PAGES };
    const whole = programOf(pattern, part, 40);
    whole.program.memwriteRun(0, 99, 3000);
    const { program, block } = programOf(pattern, part, 40);
    program.mmuPostcopy(true);
    let [pfn, random, left, reads, interruptions] = [0, 99, 3000, 0, 0];
    while (left > 0) {
      try {
        program.memwriteRun(pfn, random, left);
      } catch (error) {
        expect(error).toBeInstanceOf(SliceInterrupted);
        interruptions += 1;
        expect(block.isReceived(program.nextPfn())).toBe(false);
        block.bytes[block.layout.receivedMap + program.nextPfn()] = 1;
      }
      left -= program.pagesDone();
      reads += program.readCount();
      [pfn, random] = [program.nextPfn(), program.nextRandom()];
    }
    expect(interruptions).toBeGreaterThan(100);
    expect([pfn, random, reads]).toEqual([
      whole.program.nextPfn(),
      whole.program.nextRandom(),
      whole.program.readCount(),
    ]);
    expect(block.ram.equals(whole.block.ram)).toBe(true);
  });
});
