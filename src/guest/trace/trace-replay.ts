import { PAGE_BYTES } from '../../base/index.ts';
import type { GuestClock, GuestMemory } from '../../guestmem/index.ts';
import { runToSafepoint } from '../run-to-safepoint.ts';
import type { VcpuRegisters } from '../vcpu-registers.ts';
import type { TraceSpec } from '../workload/trace-spec.ts';
import type { WorkloadProgram } from '../workload/workload-program.ts';
import type { PageRange } from '../workload/workload-ranges.ts';
import {
  SCRIPT_HEAD_WORDS,
  SCRIPT_RUN_WORDS,
  SCRIPT_VCPU_WORDS,
  unpackKind,
} from './replay-script.ts';

export interface ReplayParts {
  readonly vcpu: number;
  readonly memory: GuestMemory;
  /** One for each RAM block. */
  readonly programs: readonly WorkloadProgram[];
  readonly own: Pick<VcpuRegisters, 'writes' | 'nextPfn' | 'random'>;
  /** Pages that are this vCPU's. */
  readonly hot: PageRange;
  readonly spec: TraceSpec;
  readonly guestClock: Pick<GuestClock, 'nowMs'>;
}

/** The number of the pattern `seq` (WRITE_PATTERNS). */
const SEQUENTIAL = 0;

/** Pages to write next, in one block and of one kind. */
export interface ReplayRun {
  readonly pfn: number;
  readonly count: number;
  readonly words: number;
  readonly stepBytes: number;
}

/**
 * One vCPU's way through a script in its guest's RAM. All that it remembers between slices is how
 * many pages the vCPU has written, which is in its registers: the place in the script follows from
 * it. Each read goes through the soft MMU, for the script may be what is missing: it may throw
 * SliceInterrupted, and is asked again.
 */
export class TraceReplay {
  private readonly parts: ReplayParts;
  /** Where the last run was: the next one is mostly behind it. */
  private lastRun = 0;

  constructor(parts: ReplayParts) {
    this.parts = parts;
  }

  /** Writes that are due and not done; 0 when the script cannot be read before a safepoint. */
  due(): number {
    const { own, guestClock } = this.parts;
    let due = 0;
    runToSafepoint(() => {
      due = this.dueWrites(guestClock.nowMs()) - own.writes;
    });
    return Math.max(0, due);
  }

  /** Nothing is saved up: what is due follows from the registers. */
  spend(): void {}

  /** Up to `budget` writes; returns how many there were. The registers are exact. */
  runPages(budget: number): number {
    const { own, hot } = this.parts;
    let done = 0;
    for (let goesOn = true; goesOn && done < budget; ) {
      let run: ReplayRun | undefined;
      runToSafepoint(() => {
        run = this.runAfter(own.writes);
      });
      // Assigned by a callback, which the compiler does not see.
      const next = run as ReplayRun | undefined;
      if (next === undefined) break;
      const { pfn, words, stepBytes } = next;
      const program = this.programOf(pfn * PAGE_BYTES).program;
      program.memwriteConfigure(hot.first, hot.count, SEQUENTIAL, words, stepBytes, 0);
      const count = Math.min(next.count, budget - done);
      const ranAll = runToSafepoint(() => program.memwriteRun(pfn, own.random, count));
      const pages = program.pagesDone();
      own.nextPfn = program.nextPfn();
      own.writes += pages;
      done += pages;
      goesOn = ranAll && pages > 0;
    }
    return done;
  }

  /** Writes that are due when the guest has run for `guestMs`, since its start. */
  dueWrites(guestMs: number): number {
    const intervals = this.word(3);
    const starts = this.word(6);
    const sums = this.vcpuWord(0);
    const spanUs = this.word(starts + intervals);
    const turnWrites = this.word(sums + intervals);
    if (spanUs === 0 || turnWrites === 0) return 0;
    const guestUs = guestMs * 1000;
    const turns = Math.floor(guestUs / spanUs);
    const atUs = guestUs - turns * spanUs;
    const index = this.lastNotAbove(starts, 1, intervals, atUs);
    const [fromUs, toUs] = [this.word(starts + index), this.word(starts + index + 1)];
    const [from, to] = [this.word(sums + index), this.word(sums + index + 1)];
    const share = toUs > fromUs ? Math.min(1, (atUs - fromUs) / (toUs - fromUs)) : 1;
    return turns * turnWrites + from + Math.floor((to - from) * share);
  }

  /** What comes after `writes` of them; the script has some. */
  runAfter(writes: number): ReplayRun {
    const turnWrites = this.word(this.vcpuWord(0) + this.word(3));
    const at = writes % turnWrites;
    const index = this.runAt(at);
    const run = this.vcpuWord(1) + index * SCRIPT_RUN_WORDS;
    const into = at - this.word(run + 3);
    this.lastRun = index;
    const found = {
      pfn: this.word(run) + into,
      count: this.word(run + 1) - into,
      ...unpackKind(this.word(run + 2)),
    };
    if (!this.isPossible(found)) {
      throw new Error(`The script of vCPU ${this.parts.vcpu} has an impossible run at ${run}`);
    }
    return found;
  }

  /** The script is what came from a peer: it must not make the program write beyond a page. */
  private isPossible({ pfn, count, words, stepBytes }: ReplayRun): boolean {
    const { first, count: pages } = this.parts.hot;
    const isOwn = pfn >= first && count > 0 && pfn + count <= first + pages;
    return (
      isOwn && words > 0 && stepBytes % 4 === 0 && stepBytes > 0 && words * stepBytes <= PAGE_BYTES
    );
  }

  private runAt(at: number): number {
    const runs = this.vcpuWord(1);
    const count = this.vcpuWord(2);
    for (const index of [this.lastRun, this.lastRun + 1]) {
      if (index >= count) continue;
      const before = this.word(runs + index * SCRIPT_RUN_WORDS + 3);
      const length = this.word(runs + index * SCRIPT_RUN_WORDS + 1);
      if (at >= before && at < before + length) return index;
    }
    return this.lastNotAbove(runs + 3, SCRIPT_RUN_WORDS, count, at);
  }

  /** Index of the last of `count` ascending words, `stride` apart, that is not above `value`. */
  private lastNotAbove(first: number, stride: number, count: number, value: number): number {
    let [from, to] = [0, Math.max(0, count - 1)];
    while (from < to) {
      const middle = (from + to + 1) >>> 1;
      if (this.word(first + middle * stride) <= value) from = middle;
      else to = middle - 1;
    }
    return from;
  }

  private vcpuWord(field: number): number {
    return this.word(SCRIPT_HEAD_WORDS + this.parts.vcpu * SCRIPT_VCPU_WORDS + field);
  }

  private word(index: number): number {
    const { program, offsetBytes } = this.programOf(this.parts.spec.pages * PAGE_BYTES + index * 4);
    return program.load32At(offsetBytes) >>> 0;
  }

  private programOf(gpa: number): {
    readonly program: WorkloadProgram;
    readonly offsetBytes: number;
  } {
    const { memory, programs, vcpu } = this.parts;
    const found = memory.locate(gpa);
    const program = programs[found?.block.layout.index ?? -1];
    if (found !== undefined && program !== undefined) {
      return { program, offsetBytes: found.offsetBytes };
    }
    throw new Error(`The script of vCPU ${vcpu} leads out of RAM`);
  }
}
