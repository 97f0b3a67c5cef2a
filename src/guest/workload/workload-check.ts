import type { Clock } from '../../base/index.ts';
import type { GuestMemory } from '../../guestmem/index.ts';
import { PHASE, type VcpuRegisters } from '../vcpu-registers.ts';
import type { WorkloadProgram } from './workload-program.ts';
import { fillRange, hotRange, type PageRange, partOf } from './workload-ranges.ts';
import type { WorkloadSpec } from './workload-spec.ts';

/** Outcome of looking at every page of a paused guest. */
export interface WorkloadCheck {
  readonly ok: boolean;
  /** Pages that were looked at. */
  readonly pages: number;
  /** The first 16 things that are wrong. */
  readonly problems: readonly string[];
}

const PROBLEMS_MAX = 16;
/** Pages between two turns of the event loop: 16 MiB is about 5 ms. */
const STRETCH_PAGES = 4096;

export interface CheckedParts {
  readonly spec: WorkloadSpec;
  readonly memory: GuestMemory;
  readonly registers: readonly VcpuRegisters[];
  readonly programs: readonly WorkloadProgram[];
  readonly clock: Clock;
}

/**
 * Compares the whole RAM of a paused guest with what its program, its seed and its counters say
 * that it must be.
 */
export async function checkWorkload(parts: CheckedParts): Promise<WorkloadCheck> {
  const walk = new PageWalk(parts);
  if (parts.spec.kind === 'ab') await checkAb(parts, walk);
  else await checkNoise(parts, parts.spec, walk);
  return { ok: walk.problems.length === 0, pages: walk.pages, problems: walk.problems };
}

async function checkAb({ spec, memory, registers }: CheckedParts, walk: PageWalk): Promise<void> {
  const hot = hotRange(spec, memory.pageCount);
  await walk.zero({ first: 0, count: hot.first });
  for (const [vcpu, { writes, nextPfn, phase }] of registers.entries()) {
    const part = partOf(hot, vcpu, registers.length);
    const into = phase === PHASE.running && part.count > 0 ? writes % part.count : 0;
    if (phase === PHASE.running && part.count > 0 && nextPfn !== part.first + into) {
      walk.complain(`vCPU ${vcpu} is at page ${nextPfn}, but has written ${writes} pages`);
    }
    const sweeps = part.count === 0 ? 0 : Math.floor(writes / part.count);
    const run = (count: number, value: number, first: number) =>
      walk.run({ first, count }, (program, from, pages) =>
        program.checkAb(from, pages, value & 0xff),
      );
    await run(into, sweeps + 1, part.first);
    await run(part.count - into, sweeps, part.first + into);
  }
  const end = hot.first + hot.count;
  await walk.zero({ first: end, count: memory.pageCount - end });
}

async function checkNoise(
  { memory, registers }: CheckedParts,
  spec: Exclude<WorkloadSpec, { kind: 'ab' }>,
  walk: PageWalk,
): Promise<void> {
  const hot = hotRange(spec, memory.pageCount);
  const running = registers.every(({ phase }) => phase !== PHASE.filling);
  // While it boots nobody writes; what is filled depends on how far each vCPU has come.
  const filled = running
    ? [fillRange(spec)]
    : registers.map(({ nextPfn, phase }, vcpu) => {
        const part = partOf(fillRange(spec), vcpu, registers.length);
        const done = phase === PHASE.filling ? Math.max(0, nextPfn - part.first) : part.count;
        return { first: part.first, count: done };
      });
  const words =
    spec.kind === 'memwrite' ? { count: spec.words, stepBytes: spec.stepBytes } : undefined;
  for (const [vcpu, { writes }] of registers.entries()) {
    if (words === undefined || !running) break;
    let versions = 0;
    for (const { range, inside } of pieces(partOf(hot, vcpu, registers.length), filled)) {
      await walk.run(range, (program, from, pages) => {
        const good = program.checkVersions(from, pages, inside, words.count, words.stepBytes);
        versions = (versions + program.versionSum()) >>> 0;
        return good;
      });
    }
    // A sum that does not fit after bad pages says nothing new.
    if (walk.problems.length === 0 && versions !== writes % 2 ** 32) {
      walk.complain(`vCPU ${vcpu} has written ${writes} pages, but its pages tell of ${versions}`);
    }
  }
  const rest = running ? hot.count : 0;
  for (const { range, inside } of pieces({ first: rest, count: memory.pageCount - rest }, filled)) {
    if (inside)
      await walk.run(range, (program, from, pages) =>
        program.checkVersions(from, pages, true, 0, 0),
      );
    else await walk.zero(range);
  }
}

/**
 * Cuts a range at the borders of others (ascending, apart), and says which pieces lie inside of
 * one.
 */
function pieces(
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

type PageCheck = (program: WorkloadProgram, first: number, count: number) => number;

/** Goes over ranges of guest pages, block by block, and collects what is wrong. */
class PageWalk {
  pages = 0;
  readonly problems: string[] = [];
  private readonly parts: CheckedParts;

  constructor(parts: CheckedParts) {
    this.parts = parts;
  }

  zero(range: PageRange): Promise<void> {
    return this.run(range, (program, first, count) => program.checkZero(first, count));
  }

  /** `check` returns how many pages from the first on are good. */
  async run(range: PageRange, check: PageCheck): Promise<void> {
    const end = range.first + range.count;
    for (const [index, { layout }] of this.parts.memory.blocks.entries()) {
      const program = this.parts.programs[index];
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
        await this.parts.clock.yieldToLoop();
      }
    }
  }

  complain(problem: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem);
  }
}

function describeBadPage(program: WorkloadProgram, pfn: number): string {
  const hex = (value: number) => `0x${(value >>> 0).toString(16)}`;
  const [offset, found, wanted] = [program.badOffset(), program.badActual(), program.badExpected()];
  return `page ${pfn} holds ${hex(found)} at byte ${hex(offset)} instead of ${hex(wanted)}`;
}
