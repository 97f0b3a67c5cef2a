import { type BoardBlock, QUEUES_PER_SLOT, slotRegion } from '../board-block.ts';

const STATUS = 0;
const DEVICE_FEATURES_SELECT = 1;
const DRIVER_FEATURES_SELECT = 2;
const DRIVER_FEATURES = 3;
const QUEUE_SELECT = 5;
const INTERRUPT_STATUS = 6;
const GENERATION = 7;
const QUEUES = 16;
const QUEUE_WORDS = 12;

/** Words of a queue that the driver writes as they are. */
export const QUEUE_SIZE = 0;
export const DESCRIPTORS_LOW = 2;
export const DESCRIPTORS_HIGH = 3;
export const AVAILABLE_LOW = 4;
export const AVAILABLE_HIGH = 5;
export const USED_LOW = 6;
export const USED_HIGH = 7;
const READY = 1;
const AVAILABLE_INDEX = 8;
const USED_INDEX = 9;

/**
 * A virtio slot's part of the board block:
 *
 *   word 0 status · 1 selected half of the device's features · 2 of the driver's · 3 features that
 *   the driver accepted, 2 · 5 selected queue · 6 interrupt status · 7 generation of the config
 *   · 8 zero · 16 the queues, 12 words each: size · ready · descriptor table, available ring, used
 *   ring (64 bits each) · next available index · next used index · zero
 */
export class SlotState {
  readonly queues: readonly QueueState[];
  private readonly words: Uint32Array;

  constructor(block: BoardBlock, slot: number) {
    this.words = block.region(slotRegion(slot));
    this.queues = Array.from({ length: QUEUES_PER_SLOT }, (_, index) => {
      const first = QUEUES + index * QUEUE_WORDS;
      return new QueueState(this.words.subarray(first, first + QUEUE_WORDS));
    });
  }

  get status(): number {
    return this.words[STATUS] ?? 0;
  }

  set status(value: number) {
    this.words[STATUS] = value;
  }

  get deviceFeaturesSelect(): number {
    return this.words[DEVICE_FEATURES_SELECT] ?? 0;
  }

  set deviceFeaturesSelect(value: number) {
    this.words[DEVICE_FEATURES_SELECT] = value;
  }

  get driverFeatures(): bigint {
    const low = this.words[DRIVER_FEATURES] ?? 0;
    return (BigInt(this.words[DRIVER_FEATURES + 1] ?? 0) << 32n) | BigInt(low);
  }

  set driverFeaturesSelect(value: number) {
    this.words[DRIVER_FEATURES_SELECT] = value;
  }

  /** Of the selected half; there are two. */
  acceptFeatures(value: number): void {
    const half = this.words[DRIVER_FEATURES_SELECT] ?? 0;
    if (half < 2) this.words[DRIVER_FEATURES + half] = value;
  }

  get queueSelect(): number {
    return this.words[QUEUE_SELECT] ?? 0;
  }

  set queueSelect(value: number) {
    this.words[QUEUE_SELECT] = value;
  }

  get interruptStatus(): number {
    return this.words[INTERRUPT_STATUS] ?? 0;
  }

  set interruptStatus(value: number) {
    this.words[INTERRUPT_STATUS] = value;
  }

  get generation(): number {
    return this.words[GENERATION] ?? 0;
  }

  /** What `status` = 0 does. The generation of the config is the device's, and stays. */
  reset(): void {
    const { generation } = this;
    this.words.fill(0);
    this.words[GENERATION] = generation;
  }
}

/** One queue's words. */
export class QueueState {
  private readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  get size(): number {
    return this.words[QUEUE_SIZE] ?? 0;
  }

  get isReady(): boolean {
    return this.words[READY] === 1;
  }

  set isReady(value: boolean) {
    this.words[READY] = value ? 1 : 0;
  }

  get descriptors(): number {
    return this.address(DESCRIPTORS_LOW);
  }

  get available(): number {
    return this.address(AVAILABLE_LOW);
  }

  get used(): number {
    return this.address(USED_LOW);
  }

  /** The place in the available ring that is looked at next; it wraps at 2^16, as the guest's. */
  get availableIndex(): number {
    return this.words[AVAILABLE_INDEX] ?? 0;
  }

  set availableIndex(value: number) {
    this.words[AVAILABLE_INDEX] = value & 0xffff;
  }

  get usedIndex(): number {
    return this.words[USED_INDEX] ?? 0;
  }

  set usedIndex(value: number) {
    this.words[USED_INDEX] = value & 0xffff;
  }

  /** One of the driver's words, see above. */
  set(word: number, value: number): void {
    this.words[word] = value;
  }

  /** Above 2^53 it is inexact, and outside of RAM all the same. */
  private address(word: number): number {
    return (this.words[word + 1] ?? 0) * 2 ** 32 + (this.words[word] ?? 0);
  }
}

/** Why reserved words of a slot, or words with few values, are wrong; or undefined. */
export function slotWordsDefect(words: Uint32Array): string | undefined {
  const word = (index: number) => words[index] ?? 0;
  if (word(STATUS) > 0xff) return 'an impossible status';
  if (word(INTERRUPT_STATUS) > 3) return 'an impossible interrupt status';
  const reserved = [...words.subarray(GENERATION + 1, QUEUES)];
  for (let queue = 0; queue < QUEUES_PER_SLOT; queue += 1) {
    const first = QUEUES + queue * QUEUE_WORDS;
    if (word(first + READY) > 1) return `an impossible state of queue ${queue}`;
    const indexes = [word(first + AVAILABLE_INDEX), word(first + USED_INDEX)];
    if (indexes.some((index) => index > 0xffff)) return `an impossible index of queue ${queue}`;
    reserved.push(...words.subarray(first + USED_INDEX + 1, first + QUEUE_WORDS));
  }
  return reserved.some((value) => value !== 0) ? 'a value where zero is reserved' : undefined;
}
