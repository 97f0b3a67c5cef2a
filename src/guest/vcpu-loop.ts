import type { Clock } from '../base/index.ts';
import type { ControlBlock, GuestMemory, MissingPages, Safepoint } from '../guestmem/index.ts';
import type { ConsoleDevice } from './console-device.ts';
import { HotProgram, ratePagesPerSecond } from './hot-program.ts';
import { PageRate } from './page-rate.ts';
import { runToSafepoint } from './run-to-safepoint.ts';
import { type GuestService, guestService } from './service/guest-service.ts';
import type { Mailbox } from './service/mailbox.ts';
import { TraceReplay } from './trace/trace-replay.ts';
import { PHASE, type VcpuRegisters } from './vcpu-registers.ts';
import type { WorkloadProgram } from './workload/workload-program.ts';
import {
  fillRange,
  hotPart,
  hotRange,
  type PageRange,
  partOf,
} from './workload/workload-ranges.ts';
import type { WorkloadSpec } from './workload/workload-spec.ts';

/** A pause waits for a slice at most; each safepoint costs about a microsecond. */
const SLICE_MS = 0.2;
/** The guest ticks at this rate when it has nothing to do. */
const TICK_MS = 1;
const SLICE_PAGES_START = 16;
const SLICE_PAGES_MAX = 2 ** 20;
/** QEMU's test guest prints once in so many sweeps. */
const SWEEPS_PER_MARK = 64;

export interface VcpuParts {
  readonly vcpu: number;
  readonly spec: WorkloadSpec;
  readonly memory: GuestMemory;
  readonly control: ControlBlock;
  readonly safepoint: Safepoint;
  /** Of all vCPUs; this one writes only its own. */
  readonly registers: readonly VcpuRegisters[];
  readonly console: ConsoleDevice;
  readonly mailbox: Mailbox;
  /** One for each RAM block. */
  readonly programs: readonly WorkloadProgram[];
  readonly missing: MissingPages;
  readonly clock: Clock;
}

/** Runs a vCPU until it is told to end. */
export function runVcpu(parts: VcpuParts): void {
  const vcpu = new WorkloadVcpu(parts);
  while (parts.safepoint.enter() === 'run') vcpu.step();
}

/**
 * One vCPU of a workload: a slice of its program at a time, its state in the registers between
 * slices.
 */
class WorkloadVcpu {
  private readonly parts: VcpuParts;
  private readonly own: VcpuRegisters;
  private readonly fill: PageRange;
  private readonly hot: PageRange;
  private readonly hotProgram: HotProgram;
  private readonly rate: Pick<PageRate, 'due' | 'spend'> | undefined;
  private readonly replay: TraceReplay | undefined;
  private readonly service: GuestService | undefined;
  private slicePages = SLICE_PAGES_START;

  constructor(parts: VcpuParts) {
    const { spec, memory, vcpu, registers } = parts;
    this.parts = parts;
    // Indexed by a vCPU of this machine.
    this.own = registers[vcpu] as VcpuRegisters;
    this.fill = partOf(fillRange(spec), vcpu, registers.length);
    this.hot = hotPart(spec, memory.pageCount, vcpu, registers.length);
    this.hotProgram = new HotProgram(spec, this.hot, parts.programs);
    const share = this.hot.count / hotRange(spec, memory.pageCount).count;
    const rate = ratePagesPerSecond(spec, share);
    if (rate !== undefined) this.rate = new PageRate(rate, parts.safepoint.guestClock);
    if (spec.kind === 'trace') {
      const { programs } = parts;
      const { guestClock } = parts.safepoint;
      const { own, hot } = this;
      this.replay = new TraceReplay({ vcpu, memory, programs, own, hot, spec, guestClock });
      this.rate = this.replay;
    }
    this.service = guestService(spec, {
      vcpu,
      vcpuCount: registers.length,
      memory,
      registers: this.own,
      mailbox: parts.mailbox,
      hot: this.hot,
      program: (pfn) => this.program(pfn),
      access: (budget) =>
        this.measured(Math.min(this.slicePages, budget), (pages) => this.runPages(pages)),
    });
  }

  /** One slice, or one sleep of a tick. */
  step(): void {
    const { clock, safepoint, missing } = this.parts;
    const fromMs = clock.nowMs();
    const fromBlockedMs = missing.blockedMs;
    safepoint.beat(fromMs);
    if (!this.work()) {
      this.own.ticks += 1;
      safepoint.sleep(TICK_MS);
      return;
    }
    const toMs = clock.nowMs();
    safepoint.beat(toMs);
    // A vCPU that waits for a page has paid already.
    safepoint.endSlice(toMs - fromMs - (missing.blockedMs - fromBlockedMs));
  }

  /** False when there is nothing to do now. */
  private work(): boolean {
    if (this.own.phase === PHASE.filling) return this.fillSlice();
    if (this.own.phase === PHASE.filled) return this.beginWhenAllAreFilled();
    if (this.hot.count === 0) return false;
    // Clients first; but they do not keep the guest from its own work, nor that from them.
    const served = this.service?.step() ?? false;
    return this.hotSlice() || served;
  }

  private fillSlice(): boolean {
    const { first, count } = this.fill;
    const done = Math.max(0, this.own.nextPfn - first);
    const pages = this.measured(Math.min(this.slicePages, count - done), (budget) => {
      const program = this.program(first + done);
      runToSafepoint(() => program.fillRun(first + done, budget));
      const filled = program.pagesDone();
      this.own.nextPfn = first + done + filled;
      return filled;
    });
    if (done + pages < count) return true;
    this.own.phase = PHASE.filled;
    this.parts.control.announceProgress();
    return true;
  }

  private beginWhenAllAreFilled(): boolean {
    if (this.parts.registers.some((other) => other.phase === PHASE.filling)) return false;
    this.own.nextPfn = this.hot.first;
    if (this.parts.vcpu === 0) this.parts.console.print('A');
    this.own.phase = PHASE.running;
    return true;
  }

  private hotSlice(): boolean {
    const budget = Math.min(this.slicePages, this.rate?.due() ?? this.slicePages);
    if (budget < 1) return false;
    const done = this.measured(budget, (pages) => this.runPages(pages));
    this.rate?.spend(done);
    this.printMark();
    return true;
  }

  /**
   * A slice may cross from one block into another: each stretch runs in the instance of its block.
   * The registers are exact also when a missing page interrupted it: the program repeats that
   * access.
   */
  private runPages(budget: number): number {
    const { own, hotProgram, replay } = this;
    if (replay !== undefined) return replay.runPages(budget);
    let done = 0;
    let ranAll = true;
    while (ranAll && done < budget) {
      const program = this.program(own.nextPfn);
      ranAll = runToSafepoint(() => hotProgram.run(program, own, budget - done));
      const pages = program.pagesDone();
      const reads = program.readCount();
      if (hotProgram.isRandom) own.random = program.nextRandom();
      own.nextPfn = program.nextPfn();
      own.reads += reads;
      own.writes += pages - reads;
      done += pages;
    }
    return done;
  }

  private printMark(): void {
    if (this.parts.vcpu !== 0) return;
    const marks = Math.floor((this.own.writes + this.own.reads) / this.hot.count / SWEEPS_PER_MARK);
    if (marks <= this.own.consoleMarks) return;
    this.own.consoleMarks = marks;
    this.parts.console.print('B');
  }

  /**
   * Runs a slice of `pages` and sizes the next one, so that a slice takes SLICE_MS on this host.
   */
  private measured(pages: number, run: (pages: number) => number): number {
    if (pages === 0) return 0;
    const { clock, missing } = this.parts;
    const [fromMs, fromBlockedMs] = [clock.nowMs(), missing.blockedMs];
    const done = run(pages);
    const ranMs = clock.nowMs() - fromMs - (missing.blockedMs - fromBlockedMs);
    // A slice that was cut short (by the rate, by the end of a part) tells about its own length
    // only.
    const fitting = (done * SLICE_MS) / Math.max(ranMs, 0.001);
    const next = Math.min(Math.max(fitting, this.slicePages / 2), this.slicePages * 2);
    if (fitting < this.slicePages || done >= this.slicePages) {
      this.slicePages = Math.min(Math.max(1, Math.floor(next)), SLICE_PAGES_MAX);
    }
    return done;
  }

  private program(pfn: number): WorkloadProgram {
    const { blocks } = this.parts.memory;
    const index = blocks.findIndex(({ layout }) => pfn < layout.firstPfn + layout.pageCount);
    // Ranges lie inside RAM (checkWorkloadFits), and a loaded state was checked: the block is
    // there.
    return this.parts.programs[index] as WorkloadProgram;
  }
}
