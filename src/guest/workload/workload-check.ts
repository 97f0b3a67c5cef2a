import type { Clock } from '../../base/index.ts';
import type { GuestMemory } from '../../guestmem/index.ts';
import { checkTrace } from '../trace/trace-check.ts';
import { PHASE, type VcpuRegisters } from '../vcpu-registers.ts';
import { PageWalk, pieces } from './page-walk.ts';
import { type SweepingSpec, sweepCheck } from './sweep-check.ts';
import type { WorkloadProgram } from './workload-program.ts';
import {
  fillRange,
  hotPart,
  hotRange,
  type PageRange,
  partOf,
  tableRange,
} from './workload-ranges.ts';
import type { MemwriteSpec, WorkloadSpec } from './workload-spec.ts';

/** Outcome of looking at every page of a paused guest. */
export interface WorkloadCheck {
  readonly ok: boolean;
  /** Pages that were looked at. */
  readonly pages: number;
  /** The first 16 things that are wrong. */
  readonly problems: readonly string[];
}

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
  const check = new CheckedGuest(parts);
  await check.run();
  const { problems, pages } = check.walk;
  return { ok: problems.length === 0, pages, problems };
}

class CheckedGuest {
  readonly walk: PageWalk;
  private readonly parts: CheckedParts;
  /** While it boots nobody writes; what is filled depends on how far each vCPU has come. */
  private readonly isRunning: boolean;
  private readonly filled: readonly PageRange[];

  constructor(parts: CheckedParts) {
    const { spec, memory, registers, programs, clock } = parts;
    this.parts = parts;
    this.walk = new PageWalk(memory, programs, clock);
    this.isRunning = registers.every(({ phase }) => phase !== PHASE.filling);
    this.filled = this.isRunning
      ? [fillRange(spec)]
      : registers.map(({ nextPfn, phase }, vcpu) => {
          const part = partOf(fillRange(spec), vcpu, registers.length);
          const done = phase === PHASE.filling ? Math.max(0, nextPfn - part.first) : part.count;
          return { first: part.first, count: done };
        });
  }

  async run(): Promise<void> {
    const { spec, memory, registers } = this.parts;
    const everything = { first: 0, count: memory.pageCount };
    if (spec.kind === 'trace') return checkTrace(spec, memory, registers, this.walk);
    if (!this.isRunning) return this.untouched(everything);
    for (const [vcpu, own] of registers.entries()) {
      const part = hotPart(spec, memory.pageCount, vcpu, registers.length);
      if (spec.kind === 'memwrite' || spec.kind === 'erp') await this.versions(spec, part, vcpu);
      else if (spec.kind !== 'idle') await this.sweeps(spec, part, own, vcpu);
    }
    const tables = tableRange(spec, registers.length);
    for (let vcpu = 0; vcpu < tables.count; vcpu += 1) await this.sessions(tables, vcpu);
    const written = [hotRange(spec, memory.pageCount), tables];
    for (const { range, inside } of pieces(everything, written))
      if (!inside) await this.untouched(range);
  }

  /** Noise where boot has filled, and zeros elsewhere. */
  private async untouched(range: PageRange): Promise<void> {
    for (const piece of pieces(range, this.filled)) {
      if (piece.inside) await this.walk.noise(piece.range);
      else await this.walk.zero(piece.range);
    }
  }

  /** Each page tells how often it was written, and the vCPU how often it wrote. */
  private async versions(
    spec: Pick<MemwriteSpec, 'words' | 'stepBytes'>,
    part: PageRange,
    vcpu: number,
  ): Promise<void> {
    let versions = 0;
    for (const { range, inside } of pieces(part, this.filled)) {
      await this.walk.run(range, (program, from, pages) => {
        const good = program.checkVersions(from, pages, inside, spec.words, spec.stepBytes);
        versions = (versions + program.versionSum()) >>> 0;
        return good;
      });
    }
    const writes = this.parts.registers[vcpu]?.writes ?? 0;
    // A sum that does not fit after bad pages says nothing new.
    if (this.walk.problems.length === 0 && versions !== writes % 2 ** 32) {
      this.walk.complain(
        `vCPU ${vcpu} has written ${writes} pages, but its pages tell of ${versions}`,
      );
    }
  }

  /** The vCPU writes its pages in turn: its registers say how often each was written. */
  private async sweeps(
    spec: SweepingSpec,
    part: PageRange,
    { writes, nextPfn, phase }: VcpuRegisters,
    vcpu: number,
  ): Promise<void> {
    if (part.count === 0) return;
    const into = writes % part.count;
    const sweeps = Math.floor(writes / part.count);
    if (phase === PHASE.running && nextPfn !== part.first + into) {
      this.walk.complain(`vCPU ${vcpu} is at page ${nextPfn}, but has written ${writes} pages`);
    }
    const halves = [
      { range: { first: part.first, count: into }, sweeps: sweeps + 1 },
      { range: { first: part.first + into, count: part.count - into }, sweeps },
    ];
    for (const half of halves) {
      for (const { range, inside } of pieces(half.range, this.filled)) {
        const check = sweepCheck(spec, part, inside, half.sweeps);
        if (check === undefined) await this.untouched(range);
        else await this.walk.run(range, check);
      }
    }
  }

  /** The table of a vCPU's sessions tells of as many transactions as the vCPU has committed. */
  private async sessions(tables: PageRange, vcpu: number): Promise<void> {
    const { spec, registers } = this.parts;
    if (spec.kind !== 'erp') return;
    let told = 0;
    const page = { first: tables.first + vcpu, count: 1 };
    const before = this.walk.problems.length;
    await this.walk.run(page, (program, table) => {
      const good = program.checkSessions(table, vcpu, registers.length, spec.sessions);
      told = program.versionSum() >>> 0;
      return good;
    });
    const committed = registers[vcpu]?.transaction.committed ?? 0;
    if (this.walk.problems.length === before && told !== committed % 2 ** 32) {
      this.walk.complain(
        `vCPU ${vcpu} has committed ${committed} transactions, but its sessions tell of ${told}`,
      );
    }
  }
}
