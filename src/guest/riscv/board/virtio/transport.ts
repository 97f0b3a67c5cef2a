import { type BoardBlock, QUEUE_PENDING, QUEUES_PER_SLOT } from '../board-block.ts';
import { DmaFault, type GuestRam } from '../guest-ram.ts';
import {
  AVAILABLE_HIGH,
  AVAILABLE_LOW,
  DESCRIPTORS_HIGH,
  DESCRIPTORS_LOW,
  QUEUE_SIZE,
  type QueueState,
  SlotState,
  USED_HIGH,
  USED_LOW,
} from './slot-state.ts';
import { VERSION_1, type VirtioDevice, VirtioViolation } from './virtio-device.ts';
import { isQueueUsable, QUEUE_SIZE_MAX, Virtqueue } from './virtqueue.ts';

const MAGIC = 0x7472_6976;
const VERSION = 2;
/** "STRN": nobody's number; drivers ignore it. */
const VENDOR_ID = 0x4e52_5453;
const CONFIG_OFFSET = 0x100;

const DRIVER_OK = 4;
const FEATURES_OK = 8;
const NEEDS_RESET = 0x40;
const FAILED = 0x80;

const USED_INTERRUPT = 1;
const CONFIG_INTERRUPT = 2;

/**
 * After so many bytes the rest waits for the next poll: about a millisecond of copying, in which a
 * vCPU does not come to its safepoint.
 */
const POLL_BYTES = 2 ** 20;

/** Registers that the driver fills in while its selected queue is not ready. */
const QUEUE_WORDS: ReadonlyMap<number, number> = new Map([
  [0x038, QUEUE_SIZE],
  [0x080, DESCRIPTORS_LOW],
  [0x084, DESCRIPTORS_HIGH],
  [0x090, AVAILABLE_LOW],
  [0x094, AVAILABLE_HIGH],
  [0x0a0, USED_LOW],
  [0x0a4, USED_HIGH],
]);

/**
 * A virtio-mmio slot (virtio 1.2, 4.2.2) and the device behind it; without one it says so by device
 * 0. Registers are words; the config is read in any size. What no register is reads zero.
 */
export class VirtioTransport {
  readonly device: VirtioDevice | undefined;
  private readonly block: BoardBlock;
  private readonly slot: number;
  private readonly ramBytes: number;
  private readonly state: SlotState;

  constructor(block: BoardBlock, slot: number, ramBytes: number, device?: VirtioDevice) {
    this.block = block;
    this.slot = slot;
    this.ramBytes = ramBytes;
    this.device = device;
    this.state = new SlotState(block, slot);
  }

  /** The level of its interrupt line. */
  get isInterrupting(): boolean {
    return this.state.interruptStatus !== 0;
  }

  get needsReset(): boolean {
    return (this.state.status & NEEDS_RESET) !== 0;
  }

  read(offset: number, bytes: number): number {
    if (offset >= CONFIG_OFFSET) return this.readConfig(offset - CONFIG_OFFSET, bytes);
    if (bytes !== 4) return 0;
    const { state } = this;
    switch (offset) {
      case 0x000:
        return MAGIC;
      case 0x004:
        return VERSION;
      case 0x008:
        return this.device?.deviceId ?? 0;
      case 0x00c:
        return VENDOR_ID;
      case 0x010:
        return this.deviceFeatures();
      case 0x034:
        return this.selectedQueue() === undefined ? 0 : QUEUE_SIZE_MAX;
      case 0x044:
        return this.selectedQueue()?.isReady === true ? 1 : 0;
      case 0x060:
        return state.interruptStatus;
      case 0x070:
        return state.status;
      // Length and base of a shared memory region: all ones say that there is none.
      case 0x0b0:
      case 0x0b4:
      case 0x0b8:
      case 0x0bc:
        return 0xffff_ffff;
      case 0x0fc:
        return state.generation;
      default:
        return 0;
    }
  }

  /** No config here can be written. */
  write(offset: number, bytes: number, value: number): void {
    if (this.device === undefined || bytes !== 4 || offset >= CONFIG_OFFSET) return;
    const { state } = this;
    const word = QUEUE_WORDS.get(offset);
    if (word !== undefined) {
      const queue = this.selectedQueue();
      if (queue?.isReady === false) queue.set(word, value);
    } else if (offset === 0x014) state.deviceFeaturesSelect = value;
    else if (offset === 0x020) this.acceptFeatures(value);
    else if (offset === 0x024) state.driverFeaturesSelect = value;
    else if (offset === 0x030) state.queueSelect = value;
    else if (offset === 0x044) this.setQueueReady(value);
    else if (offset === 0x050) this.notify(value);
    else if (offset === 0x064) state.interruptStatus &= ~value;
    else if (offset === 0x070) this.setStatus(value & 0xff);
  }

  /**
   * Works off the queues that were notified. May be thrown out of a wait for a page: what was not
   * done is then pending again.
   */
  poll(ram: GuestRam): void {
    for (let queue = 0; queue < (this.device?.queueCount ?? 0); queue += 1) {
      if (this.takePending(queue)) this.pollQueue(ram, queue);
    }
  }

  reset(): void {
    this.state.reset();
    for (let queue = 0; queue < QUEUES_PER_SLOT; queue += 1) this.takePending(queue);
  }

  private pollQueue(ram: GuestRam, index: number): void {
    const state = this.state.queues[index];
    if (state === undefined || !state.isReady || !this.isLive) return;
    const queue = new Virtqueue(state, ram, this.ramBytes);
    try {
      this.serve(ram, queue, index, state.size);
    } catch (error) {
      // The rest waits until the driver resets, or until the vCPU has been at its safepoint.
      if (error instanceof VirtioViolation || error instanceof DmaFault) this.demandReset();
      else {
        this.setPending(index);
        throw error;
      }
    }
  }

  /** At most a whole ring or POLL_BYTES: neither a flood nor another hart keeps anybody here. */
  private serve(ram: GuestRam, queue: Virtqueue, index: number, size: number): void {
    const { device } = this;
    let bytes = 0;
    for (let count = 0; count < size && bytes < POLL_BYTES; count += 1) {
      const chain = queue.next();
      if (chain === undefined || device === undefined) return;
      const request = device.prepare(chain, index);
      for (const { gpa, length, willWrite } of request.touched) {
        ram.ensure(gpa, length, willWrite);
        bytes += length;
      }
      queue.ensureRings();
      // From here on every page is there, so the request is done once.
      queue.complete(chain.head, request.run());
      // After the index: a driver that has just asked for interrupts has seen it, or is told.
      if (queue.wantsInterrupt()) this.state.interruptStatus |= USED_INTERRUPT;
    }
    this.setPending(index);
  }

  private get isLive(): boolean {
    const { status } = this.state;
    return (
      (status & (DRIVER_OK | FEATURES_OK | NEEDS_RESET | FAILED)) === (DRIVER_OK | FEATURES_OK)
    );
  }

  private get offered(): bigint {
    return VERSION_1 | (this.device?.features ?? 0n);
  }

  private deviceFeatures(): number {
    const half = this.state.deviceFeaturesSelect;
    if (this.device === undefined || half > 1) return 0;
    return Number((this.offered >> BigInt(half * 32)) & 0xffff_ffffn);
  }

  private acceptFeatures(value: number): void {
    if ((this.state.status & FEATURES_OK) === 0) this.state.acceptFeatures(value);
  }

  private selectedQueue(): QueueState | undefined {
    const { queueSelect, queues } = this.state;
    return queueSelect < (this.device?.queueCount ?? 0) ? queues[queueSelect] : undefined;
  }

  private setQueueReady(value: number): void {
    const queue = this.selectedQueue();
    if (queue === undefined) return;
    if ((value & 1) === 0) queue.isReady = false;
    else if (!queue.isReady && isQueueUsable(queue, this.ramBytes)) {
      queue.availableIndex = 0;
      queue.usedIndex = 0;
      queue.isReady = true;
    } else if (!queue.isReady) this.demandReset();
  }

  private setStatus(value: number): void {
    const { state } = this;
    if (value === 0) {
      this.reset();
      return;
    }
    const accepted = state.driverFeatures;
    const isAgreed = (accepted & ~this.offered) === 0n && (accepted & VERSION_1) !== 0n;
    const refused = isAgreed ? 0 : FEATURES_OK;
    const isStart = (value & ~state.status & DRIVER_OK) !== 0;
    // The device's own bit stays until a reset, whatever the driver writes.
    state.status = (value & ~NEEDS_RESET & ~refused) | (state.status & NEEDS_RESET);
    // What was made available before the device ran is served now.
    if (isStart) {
      for (let queue = 0; queue < (this.device?.queueCount ?? 0); queue += 1) this.notify(queue);
    }
  }

  private notify(queue: number): void {
    if (queue < (this.device?.queueCount ?? 0) && this.isLive) this.setPending(queue);
  }

  private demandReset(): void {
    const { state } = this;
    if ((state.status & DRIVER_OK) !== 0) state.interruptStatus |= CONFIG_INTERRUPT;
    state.status |= NEEDS_RESET;
  }

  private readConfig(offset: number, bytes: number): number {
    const config = this.device?.config ?? new Uint8Array(0);
    let value = 0;
    for (let index = 0; index < bytes; index += 1) {
      value |= (config[offset + index] ?? 0) << (8 * index);
    }
    return value >>> 0;
  }

  private setPending(queue: number): void {
    // Pairs with the and in takePending(), and the load in Board.hasPendingWork.
    Atomics.or(this.block.atomics, QUEUE_PENDING, this.pendingBit(queue));
  }

  private takePending(queue: number): boolean {
    const bit = this.pendingBit(queue);
    // Before the ring is looked at. Pairs with the or in setPending().
    return (Atomics.and(this.block.atomics, QUEUE_PENDING, ~bit) & bit) !== 0;
  }

  private pendingBit(queue: number): number {
    return 1 << (this.slot * QUEUES_PER_SLOT + queue);
  }
}

/** Why a slot's words, whose ranges were checked, do not fit the device; or undefined. */
export function slotDefect(
  state: SlotState,
  device: VirtioDevice,
  ramBytes: number,
): string | undefined {
  const isAgreed = (state.driverFeatures & ~(VERSION_1 | device.features)) === 0n;
  const isAccepted = (state.status & FEATURES_OK) !== 0;
  if (isAccepted && !(isAgreed && (state.driverFeatures & VERSION_1) !== 0n)) {
    return 'features that the device does not have';
  }
  const wrong = state.queues.findIndex(
    (queue, index) =>
      queue.isReady && (index >= device.queueCount || !isQueueUsable(queue, ramBytes)),
  );
  return wrong < 0 ? undefined : `a queue ${wrong} that is ready and cannot be used`;
}
