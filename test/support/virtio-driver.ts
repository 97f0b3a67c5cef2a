import { RAM_BASE, VIRTIO } from '../../src/guest/riscv/board/index.ts';
import type { BoardBench } from './riscv-board.ts';

export interface TestDescriptor {
  readonly gpa: number | bigint;
  readonly length: number;
  readonly flags?: number;
  readonly next?: number;
}

export const NEXT = 1;
export const WRITE = 2;

/** Where the driver keeps its first queue; buffers lie behind. */
const DESCRIPTORS = RAM_BASE + 0x1000;
const AVAILABLE = RAM_BASE + 0x2000;
const USED = RAM_BASE + 0x3000;
/** Its index is at the end of a page, its elements begin in the next one. */
export const SPLIT_USED = RAM_BASE + 0x7ffc;
export const BUFFERS = RAM_BASE + 0x4000;

/** A driver of one device with one queue, as a plain kernel would write it. */
export class VirtioDriver {
  readonly bench: BoardBench;
  readonly size: number;
  private readonly base: number;
  private readonly usedRing: number;
  private published = 0;

  constructor(bench: BoardBench, slot = 0, size = 8, usedRing = USED) {
    this.bench = bench;
    this.size = size;
    this.usedRing = usedRing;
    this.base = VIRTIO.base + slot * VIRTIO.slotBytes;
  }

  read(offset: number): number {
    return this.bench.read32(this.base + offset);
  }

  write(offset: number, value: number): void {
    this.bench.write32(this.base + offset, value);
  }

  get status(): number {
    return this.read(0x70);
  }

  get needsReset(): boolean {
    return (this.status & 0x40) !== 0;
  }

  /** Through all of the steps; every feature that the device has is accepted. */
  start(): this {
    this.write(0x70, 0);
    this.write(0x70, 1);
    this.write(0x70, 3);
    for (const half of [0, 1]) {
      this.write(0x14, half);
      this.write(0x24, half);
      this.write(0x20, this.read(0x10));
    }
    this.write(0x70, 11);
    this.setUpQueue();
    this.write(0x70, 15);
    return this;
  }

  setUpQueue(descriptors: bigint = BigInt(DESCRIPTORS), size = this.size): void {
    this.write(0x30, 0);
    this.write(0x38, size);
    for (const [offset, address] of [
      [0x80, descriptors],
      [0x90, BigInt(AVAILABLE)],
      [0xa0, BigInt(this.usedRing)],
    ] as const) {
      this.write(offset, Number(address & 0xffff_ffffn));
      this.write(offset + 4, Number(address >> 32n));
    }
    this.write(0x44, 1);
  }

  setDescriptor(index: number, { gpa, length, flags = 0, next = 0 }: TestDescriptor): void {
    const { view } = this.bench.ram;
    const at = DESCRIPTORS - RAM_BASE + index * 16;
    view.setBigUint64(at, BigInt(gpa), true);
    view.setUint32(at + 8, length, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, next, true);
  }

  /** A chain from descriptor `first` on. */
  setChain(first: number, descriptors: readonly TestDescriptor[]): void {
    for (const [index, descriptor] of descriptors.entries()) {
      const isLast = index === descriptors.length - 1;
      const flags = (descriptor.flags ?? 0) | (isLast ? 0 : NEXT);
      this.setDescriptor(first + index, { ...descriptor, flags, next: first + index + 1 });
    }
  }

  /** Makes a chain available, and tells the device. */
  offer(head: number): void {
    const { view } = this.bench.ram;
    const available = AVAILABLE - RAM_BASE;
    view.setUint16(available + 4 + (this.published % this.size) * 2, head, true);
    this.setAvailableIndex(this.published + 1);
    this.write(0x50, 0);
  }

  setAvailableIndex(index: number): void {
    this.published = index & 0xffff;
    this.bench.ram.view.setUint16(AVAILABLE - RAM_BASE + 2, this.published, true);
  }

  set wantsNoInterrupt(value: boolean) {
    this.bench.ram.view.setUint16(AVAILABLE - RAM_BASE, value ? 1 : 0, true);
  }

  get usedIndex(): number {
    return this.bench.ram.view.getUint16(this.usedRing - RAM_BASE + 2, true);
  }

  /** Head and length of the used element at a place of the ring. */
  used(place: number): readonly [number, number] {
    const at = this.usedRing - RAM_BASE + 4 + place * 8;
    const { view } = this.bench.ram;
    return [view.getUint32(at, true), view.getUint32(at + 4, true)];
  }
}
