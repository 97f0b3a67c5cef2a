import type { Clock } from '../../base/index.ts';
import type { GuestMemory } from '../../guestmem/index.ts';
import type { WorkloadProgram } from './workload-program.ts';
import type { PageRange } from './workload-ranges.ts';

const PROBLEMS_MAX = 16;
/** Pages between two turns of the event loop: 16 MiB is about 5 ms. */
const STRETCH_PAGES = 4096;

/** Returns how many pages from the first on are good. */
export type PageCheck = (program: WorkloadProgram, first: number, count: number) => number;

/** Goes over ranges of guest pages, block by block, and collects what is wrong. */
export class PageWalk {
  pages = 0;
  readonly problems: string[] = [];
  private readonly memory: GuestMemory;
  private readonly programs: readonly WorkloadProgram[];
  private readonly clock: Clock;

  constructor(memory: GuestMemory, programs: readonly WorkloadProgram[], clock: Clock) {
    this.memory = memory;
    this.programs = programs;
    this.clock = clock;
  }

  zero(range: PageRange): Promise<void> {
    return this.run(range, (program, first, count) => program.checkZero(first, count));
  }

  noise(range: PageRange): Promise<void> {
    return this.run(range, (program, first, count) =>
      program.checkVersions(first, count, true, 0, 0),
    );
  }

  async run(range: PageRange, check: PageCheck): Promise<void> {
    const end = range.first + range.count;
    for (const [index, { layout }] of this.memory.blocks.entries()) {
      const program = this.programs[index];
      const blockEnd = Math.min(end, layout.firstPfn + layout.pageCount);
      let pfn = Math.max(range.first, layout.firstPfn);
      while (program !== undefined && pfn < blockEnd && this.problems.length < PROBLEMS_MAX) {
        const count = Math.min(STRETCH_PAGES, blockEnd - pfn);
        const good = check(program, pfn, count) >>> 0;
        this.pages += Math.min(good + 1, count);
        pfn += good;
        if (good < count) {
          this.complain(describeBadPage(program, pfn));
          pfn += 1;
        }
        await this.clock.yieldToLoop();
      }
    }
  }

  complain(problem: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem);
  }
}

/**
 * Cuts a range at the borders of others (ascending, apart), and says which pieces lie inside of
 * one.
 */
export function pieces(
  range: PageRange,
  others: readonly PageRange[],
): { readonly range: PageRange; readonly inside: boolean }[] {
  const end = range.first + range.count;
  const cut: { range: PageRange; inside: boolean }[] = [];
  const add = (from: number, to: number, inside: boolean) => {
    if (to > from) cut.push({ range: { first: from, count: to - from }, inside });
  };
  let at = range.first;
  for (const other of others) {
    const from = Math.min(Math.max(other.first, at), end);
    const to = Math.min(Math.max(other.first + other.count, from), end);
    add(at, from, false);
    add(from, to, true);
    at = Math.max(at, to);
  }
  add(at, end, false);
  return cut;
}

function describeBadPage(program: WorkloadProgram, pfn: number): string {
  const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;
  const [offset, found, wanted] = [program.badOffset(), program.badActual(), program.badExpected()];
  return `page ${pfn} holds ${hex(found)} at byte ${hex(offset)} instead of ${hex(wanted)}`;
}
