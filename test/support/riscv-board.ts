import type { SbiHart, SbiOutcome } from '../../src/guest/riscv/board/index.ts';
import {
  Board,
  BoardBlock,
  type BoardConfig,
  type BoardEvent,
  DmaFault,
  type Drive,
  type GuestRam,
  RAM_BASE,
  SerialRing,
} from '../../src/guest/riscv/board/index.ts';

const PAGE_BYTES = 4096;

/** Thrown out of a wait for a page, as by a vCPU that is called to its safepoint. */
export class PageWaitInterrupted extends Error {}

/** RAM in an array. A page in `missing` interrupts the first access to it, and is there then. */
export class FakeGuestRam implements GuestRam {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly missing = new Set<number>();
  readonly dirty = new Set<number>();
  /** Pages that `ensure` was asked for since it was cleared. */
  readonly ensured = new Set<number>();

  constructor(ramBytes: number) {
    this.bytes = new Uint8Array(ramBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  read(gpa: number, length: number): Uint8Array {
    this.touch(gpa, length);
    return this.bytes.subarray(gpa - RAM_BASE, gpa - RAM_BASE + length);
  }

  write(gpa: number, bytes: Uint8Array): void {
    for (const page of this.touch(gpa, bytes.length)) this.dirty.add(page);
    this.bytes.set(bytes, gpa - RAM_BASE);
  }

  ensure(gpa: number, length: number): void {
    for (const page of this.touch(gpa, length)) this.ensured.add(page);
  }

  private touch(gpa: number, length: number): number[] {
    const first = gpa - RAM_BASE;
    const isInside = Number.isSafeInteger(gpa) && first >= 0 && length >= 0;
    if (!isInside || first + length > this.bytes.length) throw new DmaFault(gpa);
    const pages: number[] = [];
    for (let page = Math.floor(first / PAGE_BYTES); page * PAGE_BYTES < first + length; page += 1) {
      if (this.missing.delete(page)) throw new PageWaitInterrupted();
      pages.push(page);
    }
    return pages;
  }
}

/** A disk in an array, which counts what is done to it. */
export class MemoryDrive implements Drive {
  readonly capacityBytes: number;
  readonly isReadOnly: boolean;
  readonly bytes: Uint8Array;
  isBroken = false;
  reads = 0;
  writes = 0;
  flushes = 0;

  constructor(capacityBytes: number, isReadOnly = false) {
    this.capacityBytes = capacityBytes;
    this.isReadOnly = isReadOnly;
    this.bytes = new Uint8Array(capacityBytes);
  }

  read(position: number, length: number): Uint8Array | undefined {
    this.check(position, length);
    this.reads += 1;
    return this.isBroken ? undefined : this.bytes.slice(position, position + length);
  }

  write(position: number, bytes: Uint8Array): boolean {
    this.check(position, bytes.length);
    this.writes += 1;
    if (!this.isBroken) this.bytes.set(bytes, position);
    return !this.isBroken;
  }

  flush(): boolean {
    this.flushes += 1;
    return !this.isBroken;
  }

  private check(position: number, length: number): void {
    if (position < 0 || position + length > this.capacityBytes) throw new Error('Outside of disk');
  }
}

/** A board with everything around it in arrays. */
export class BoardBench {
  readonly config: BoardConfig;
  readonly block = BoardBlock.allocate();
  readonly input = SerialRing.allocate(1024);
  readonly output: SerialRing;
  readonly ram: FakeGuestRam;
  readonly mips: Int32Array;
  readonly woken: number[] = [];
  readonly events: BoardEvent[] = [];
  readonly board: Board;
  /** Microseconds since 1970. */
  wallUs = 1_700_000_000_000_000;

  constructor(
    config: Partial<BoardConfig> = {},
    drives: ReadonlyMap<number, Drive> = new Map(),
    outputBytes = 1024,
  ) {
    this.config = { hartCount: 1, ramBytes: 2 ** 20, slots: [], ...config };
    this.output = SerialRing.allocate(outputBytes);
    this.ram = new FakeGuestRam(this.config.ramBytes);
    this.mips = new Int32Array(new SharedArrayBuffer(4 * this.config.hartCount));
    this.board = new Board({
      config: this.config,
      block: this.block,
      input: this.input,
      output: this.output,
      ram: this.ram,
      drives,
      mips: Array.from(this.mips, (_, index) => ({ words: this.mips, index })),
      wake: (hart) => this.woken.push(hart),
      onEvent: (event) => this.events.push(event),
      wallClock: () => this.wallUs,
    });
    this.board.reset();
  }

  read32(address: number): number {
    return this.board.mmioRead(address, 4);
  }

  write32(address: number, value: number): void {
    this.board.mmioWrite(address, 4, value);
  }

  type(text: string): void {
    this.input.push(Buffer.from(text));
    this.board.poll();
  }

  printed(): string {
    return Buffer.from(this.output.pull(2 ** 20).bytes).toString('latin1');
  }

  /** Calls `poll` until nothing interrupts it; returns how often it was interrupted. */
  pollThrough(): number {
    for (let interruptions = 0; ; interruptions += 1) {
      try {
        this.board.poll();
        return interruptions;
      } catch (error) {
        if (!(error instanceof PageWaitInterrupted)) throw error;
      }
    }
  }

  /** An ecall; the result is in `registers`. */
  ecall(call: FakeSbiHart): SbiOutcome {
    return this.board.sbi(call);
  }
}

/** Registers of a hart that calls the firmware. */
export class FakeSbiHart implements SbiHart {
  readonly hart = 0;
  readonly registers: bigint[];
  timer: bigint | undefined;

  constructor(extension: bigint, functionId = 0n, ...rest: bigint[]) {
    this.registers = [0n, 0n, 0n, 0n, 0n, 0n, functionId, extension];
    for (const [index, value] of rest.entries()) this.setArgument(index, value);
  }

  argument(index: number): bigint {
    return this.registers[index] ?? 0n;
  }

  setArgument(index: number, value: bigint): void {
    this.registers[index] = BigInt.asUintN(64, value);
  }

  setTimer(ticks: bigint): void {
    this.timer = ticks;
  }

  /** a0 as the specification has it. */
  get error(): bigint {
    return BigInt.asIntN(64, this.argument(0));
  }

  get value(): bigint {
    return this.argument(1);
  }
}
