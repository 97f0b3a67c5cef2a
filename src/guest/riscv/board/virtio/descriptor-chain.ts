import { isInRam } from '../address-map.ts';
import type { GuestRam } from '../guest-ram.ts';
import type { QueueState } from './slot-state.ts';
import { type TouchedRange, VirtioViolation } from './virtio-device.ts';

export const DESCRIPTOR_BYTES = 16;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
/** Bits beyond these say nothing in a queue of this kind, and are ignored. */

/** A piece of RAM that a descriptor names; it lies in RAM. */
export interface Segment {
  readonly gpa: number;
  readonly length: number;
}

/** One request: what the device may read, and then what it may write. */
export interface DescriptorChain {
  readonly head: number;
  readonly readable: SegmentList;
  readonly writable: SegmentList;
}

/**
 * Follows a chain through the table. At most as many descriptors as the table has, so a loop ends;
 * all in RAM; the readable before the writable. Throws {@link VirtioViolation}.
 */
export function readChain(
  ram: GuestRam,
  ramBytes: number,
  queue: QueueState,
  head: number,
): DescriptorChain {
  const readable: Segment[] = [];
  const writable: Segment[] = [];
  const { size, descriptors } = queue;
  let index = head;
  for (let count = 0; count < size; count += 1) {
    if (index >= size) throw new VirtioViolation(`Descriptor ${index} of ${size}`);
    const bytes = ram.read(descriptors + index * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR_BYTES);
    const gpa = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
    const length = view.getUint32(8, true);
    const flags = view.getUint16(12, true);
    if ((flags & INDIRECT) !== 0) throw new VirtioViolation('An indirect table was not offered');
    if (length === 0) throw new VirtioViolation('A buffer without bytes');
    if (!isInRam(ramBytes, gpa, length)) throw new VirtioViolation('A buffer outside of RAM');
    const isWritable = (flags & WRITE) !== 0;
    if (!isWritable && writable.length > 0) {
      throw new VirtioViolation('A readable buffer behind a writable one');
    }
    (isWritable ? writable : readable).push({ gpa, length });
    if ((flags & NEXT) === 0) {
      const lists = [readable, writable].map((list) => new SegmentList(ram, list));
      // The array above has two elements.
      const [first, second] = lists as [SegmentList, SegmentList];
      return { head, readable: first, writable: second };
    }
    index = view.getUint16(14, true);
  }
  throw new VirtioViolation('A chain that is longer than its queue');
}

/** Segments as one run of bytes: drivers may cut their requests as they like. */
class SegmentList {
  readonly length: number;
  private readonly ram: GuestRam;
  private readonly segments: readonly Segment[];

  constructor(ram: GuestRam, segments: readonly Segment[]) {
    this.ram = ram;
    this.segments = segments;
    this.length = segments.reduce((sum, segment) => sum + segment.length, 0);
  }

  /** A copy of the bytes, which are all there. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    for (const piece of this.pieces(offset, length)) {
      bytes.set(this.ram.read(piece.gpa, piece.length), done);
      done += piece.length;
    }
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    let done = 0;
    for (const piece of this.pieces(offset, bytes.length)) {
      this.ram.write(piece.gpa, bytes.subarray(done, done + piece.length));
      done += piece.length;
    }
  }

  /** The range for {@link VirtioRequest.touched}. */
  touched(offset: number, length: number, willWrite: boolean): TouchedRange[] {
    return this.pieces(offset, length).map((piece) => ({ ...piece, willWrite }));
  }

  private pieces(offset: number, length: number): Segment[] {
    const pieces: Segment[] = [];
    let skip = offset;
    let left = length;
    for (const segment of this.segments) {
      const taken = Math.min(Math.max(segment.length - skip, 0), left);
      if (taken > 0) pieces.push({ gpa: segment.gpa + skip, length: taken });
      skip = Math.max(skip - segment.length, 0);
      left -= taken;
    }
    return pieces;
  }
}
