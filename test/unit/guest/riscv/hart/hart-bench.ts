import * as layout from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import {
  type HartHost,
  type HartModule,
  instantiateHart,
} from '../../../../../src/guest/riscv/hart-module.ts';

export const RAM_START = 0x8000_0000n;
const RAM_BYTES = 16 * 2 ** 20;
const PAGES = RAM_BYTES / 4096;
const RECEIVED_MAP = 0x1_0000;
/** Of each of two harts: a pair of dirty maps, for a flip, and the area. */
const HARTS = [
  { dirtyMaps: [0x11_0000, 0x21_0000], area: 0x51_0000 },
  { dirtyMaps: [0x31_0000, 0x41_0000], area: 0x51_0000 + layout.HART_AREA_BYTES },
] as const;
const RAM = Math.ceil((HARTS[1].area + layout.HART_AREA_BYTES) / 2 ** 16) * 2 ** 16;

/** A device register, as the host sees the access. */
export interface DeviceAccess {
  readonly kind: 'read' | 'write';
  readonly address: number;
  readonly bytes: number;
  readonly value?: number;
}

/** Addresses of devices on the bench. */
export const DEVICE = 0x1000_0000;
const DEVICE_BYTES = 0xfc;

/** A hart on its own memory, or on that of a first one, with programs of a few words. */
export class HartBench {
  readonly hart: HartModule;
  readonly accesses: DeviceAccess[] = [];
  /** Answers of `pageMissing`, taken from the front; the page comes with a 1. */
  readonly missingAnswers: number[] = [];
  readonly missingAsked: number[] = [];
  /** What is done inside of the next device access or SBI call. */
  onDevice: (() => void) | undefined;
  onSbi: () => number = () => 0;
  timeTicks = 0;
  #map = 0;
  /** Pages that the bench itself wrote. */
  readonly #written = new Set<number>();
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #dirtyMaps: readonly [number, number];
  readonly #area: number;

  constructor(first?: HartBench) {
    const pages = (RAM + RAM_BYTES) / 2 ** 16;
    this.#memory =
      first === undefined
        ? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
        : first.#memory;
    this.#view = new DataView(this.#memory.buffer);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    const { dirtyMaps, area } = HARTS[first === undefined ? 0 : 1];
    this.#dirtyMaps = dirtyMaps;
    this.#area = area;
    this.hart = instantiateHart(this.#memory, this.#host());
    this.hart.hartConfigure(area, RAM, PAGES, RECEIVED_MAP);
    this.reset();
  }

  #host(): HartHost {
    return {
      pageMissing: (pfn) => {
        this.missingAsked.push(pfn);
        const answer = this.missingAnswers.shift() ?? 1;
        if (answer === 1) this.#bytes[RECEIVED_MAP + pfn] = 1;
        return answer;
      },
      mmioExists: (address) => (address >= DEVICE && address < DEVICE + DEVICE_BYTES ? 1 : 0),
      mmioRead: (address, bytes) => {
        this.accesses.push({ kind: 'read', address, bytes });
        this.onDevice?.();
        return 0x8877_6655 + (address - DEVICE);
      },
      mmioWrite: (address, bytes, value) => {
        this.accesses.push({ kind: 'write', address, bytes, value });
        this.onDevice?.();
      },
      sbiCall: () => this.onSbi(),
      timeNow: () => this.timeTicks,
    };
  }

  /** RAM is zero, the hart is in machine mode at the start of RAM, and every page is there. */
  reset(): void {
    this.#clearRam();
    this.#bytes.fill(1, RECEIVED_MAP, RECEIVED_MAP + PAGES);
    this.accesses.length = 0;
    this.missingAnswers.length = 0;
    this.missingAsked.length = 0;
    this.onDevice = undefined;
    this.onSbi = () => 0;
    this.hart.hartPostcopy(0);
    this.selectMap(0);
    this.hart.hartReset(RAM_START, 0n, 0n);
    this.set32(layout.DETERMINISTIC, 1);
  }

  /** Only pages that somebody wrote: all of RAM is large for a test of a few instructions. */
  #clearRam(): void {
    for (let pfn = 0; pfn < PAGES; pfn += 1) {
      if (!this.isDirty(pfn, 0) && !this.isDirty(pfn, 1) && !this.#written.has(pfn)) continue;
      this.#bytes.fill(0, RAM + pfn * 4096, RAM + (pfn + 1) * 4096);
    }
    this.#written.clear();
    for (const map of this.#dirtyMaps) this.#bytes.fill(0, map, map + PAGES);
  }

  selectMap(map: number): void {
    this.#map = map;
    this.hart.hartSelectMap(this.#dirtyMaps[map] ?? 0);
  }

  /** Pages are missing from now on, and come when `missingAnswers` says so. */
  lose(...pfns: number[]): void {
    for (const pfn of pfns) this.#bytes[RECEIVED_MAP + pfn] = 0;
    this.hart.hartPostcopy(1);
  }

  isDirty(pfn: number, map = this.#map): boolean {
    return this.#bytes[(this.#dirtyMaps[map] ?? 0) + pfn] === 1;
  }

  // The state block.
  get32 = (offset: number): number => this.#view.getUint32(this.#area + offset, true);
  set32 = (offset: number, value: number): void =>
    this.#view.setUint32(this.#area + offset, value, true);
  get64 = (offset: number): bigint => this.#view.getBigUint64(this.#area + offset, true);
  set64 = (offset: number, value: bigint): void =>
    this.#view.setBigUint64(this.#area + offset, BigInt.asUintN(64, value), true);
  x = (index: number): bigint => this.get64(layout.X_REGISTERS + index * 8);
  setX = (index: number, value: bigint): void => this.set64(layout.X_REGISTERS + index * 8, value);
  f = (index: number): bigint => this.get64(layout.F_REGISTERS + index * 8);
  setF = (index: number, value: bigint): void => this.set64(layout.F_REGISTERS + index * 8, value);
  get pc(): bigint {
    return this.get64(layout.PC);
  }
  set pc(value: bigint) {
    this.set64(layout.PC, value);
  }

  /** A copy of the state block. */
  state(): Uint8Array {
    return this.#bytes.slice(this.#area, this.#area + layout.STATE_BYTES);
  }

  // RAM, by physical address.
  #at(address: bigint): number {
    return RAM + Number(address - RAM_START);
  }
  /** What is written is at most 8 bytes. */
  #toWrite(address: bigint): number {
    const at = this.#at(address);
    this.#written.add((at - RAM) >> 12).add((at + 7 - RAM) >> 12);
    return at;
  }
  ram64 = (address: bigint): bigint => this.#view.getBigUint64(this.#at(address), true);
  setRam64 = (address: bigint, value: bigint): void => {
    this.#view.setBigUint64(this.#toWrite(address), BigInt.asUintN(64, value), true);
  };
  ram32 = (address: bigint): number => this.#view.getUint32(this.#at(address), true);
  ram8 = (address: bigint): number => this.#view.getUint8(this.#at(address));

  /** Instructions at an address; those of 16 bits are told by their lowest bits. */
  load(address: bigint, ...code: readonly number[]): void {
    let at = address;
    for (const instruction of code) {
      const isLong = (instruction & 3) === 3;
      if (isLong) this.#view.setUint32(this.#toWrite(at), instruction >>> 0, true);
      else this.#view.setUint16(this.#toWrite(at), instruction, true);
      at += isLong ? 4n : 2n;
    }
  }

  /** Runs a program from the start of RAM, one step for each instruction of it. */
  runCode(...code: readonly number[]): void {
    this.load(RAM_START, ...code);
    this.hart.hartFlushCode();
    this.pc = RAM_START;
    this.hart.hartRun(code.length);
  }
}
