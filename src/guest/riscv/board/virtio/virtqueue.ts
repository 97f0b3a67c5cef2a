import { isInRam } from '../address-map.ts';
import type { GuestRam } from '../guest-ram.ts';
import { DESCRIPTOR_BYTES, type DescriptorChain, readChain } from './descriptor-chain.ts';
import type { QueueState } from './slot-state.ts';
import { VirtioViolation } from './virtio-device.ts';

/** The size that a driver may choose at most; it must be a power of two. */
export const QUEUE_SIZE_MAX = 128;
const NO_INTERRUPT = 1;
const RING_HEADER_BYTES = 4;
const USED_ELEMENT_BYTES = 8;

/** True when the driver may use the queue like that: its size, and its three parts in RAM. */
export function isQueueUsable(queue: QueueState, ramBytes: number): boolean {
  const { size, descriptors, available, used } = queue;
  const isSize = size > 0 && size <= QUEUE_SIZE_MAX && (size & (size - 1)) === 0;
  return (
    isSize &&
    descriptors % 16 === 0 &&
    available % 2 === 0 &&
    used % 4 === 0 &&
    isInRam(ramBytes, descriptors, size * DESCRIPTOR_BYTES) &&
    isInRam(ramBytes, available, RING_HEADER_BYTES + size * 2) &&
    isInRam(ramBytes, used, RING_HEADER_BYTES + size * USED_ELEMENT_BYTES)
  );
}

/** The device's side of a split virtqueue that is usable. */
export class Virtqueue {
  private readonly state: QueueState;
  private readonly ram: GuestRam;
  private readonly ramBytes: number;

  constructor(state: QueueState, ram: GuestRam, ramBytes: number) {
    this.state = state;
    this.ram = ram;
    this.ramBytes = ramBytes;
  }

  /** The next request, which stays the next one until `complete`; undefined: there is none. */
  next(): DescriptorChain | undefined {
    const { state, ram } = this;
    const published = this.readUint16(state.available + 2);
    const waiting = (published - state.availableIndex) & 0xffff;
    if (waiting === 0) return undefined;
    if (waiting > state.size) throw new VirtioViolation('More requests than the ring holds');
    const place = state.availableIndex % state.size;
    const head = this.readUint16(state.available + RING_HEADER_BYTES + place * 2);
    return readChain(ram, this.ramBytes, state, head);
  }

  /** After this `complete` and `wantsInterrupt` find all their pages. */
  ensureRings(): void {
    this.ram.ensure(this.state.available, 2, false);
    this.ram.ensure(this.state.used + 2, 2, true);
    this.ram.ensure(this.usedElement(), USED_ELEMENT_BYTES, true);
  }

  /** Hands the chain back. Whoever sees the index sees the element, and what the device wrote. */
  complete(head: number, writtenBytes: number): void {
    const { state, ram } = this;
    ram.write(this.usedElement(), new Uint8Array(Uint32Array.of(head, writtenBytes).buffer));
    state.usedIndex += 1;
    state.availableIndex += 1;
    ram.write(state.used + 2, new Uint8Array(Uint16Array.of(state.usedIndex).buffer));
  }

  wantsInterrupt(): boolean {
    return (this.readUint16(this.state.available) & NO_INTERRUPT) === 0;
  }

  private usedElement(): number {
    const place = this.state.usedIndex % this.state.size;
    return this.state.used + RING_HEADER_BYTES + place * USED_ELEMENT_BYTES;
  }

  private readUint16(gpa: number): number {
    const [low = 0, high = 0] = this.ram.read(gpa, 2);
    return low | (high << 8);
  }
}
