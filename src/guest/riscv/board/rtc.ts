import type { WallClock } from '../../../base/index.ts';
import { type BoardBlock, RTC_REGION } from './board-block.ts';

/** Registers, a word each. */
const TIME_LOW = 0x00;
const TIME_HIGH = 0x04;
const ALARM_LOW = 0x08;
const ALARM_HIGH = 0x0c;
const IRQ_ENABLED = 0x10;
const CLEAR_ALARM = 0x14;
const ALARM_STATUS = 0x18;
const CLEAR_INTERRUPT = 0x1c;

/** Words of the region; times have two, the lower half first. */
const OFFSET = 0;
const ALARM = 2;
const READ_HIGH = 4;
const WRITTEN_HIGH = 5;
const ARMED = 6;
const PENDING = 7;
const ENABLED = 8;
const USED_WORDS = 9;

const NS_PER_US = 1000n;
const NS_PER_MS = 1e6;
/** No guest asks for an alarm that is so far away, and no host lives to see it. */
const ALARM_NS_MAX = 2n ** 63n - 1n;

/**
 * The clock of the wall: Goldfish's, as guests of the `virt` board know it. It counts nanoseconds
 * since 1970, which are the host's and what the guest has set them off by; so the time is right
 * wherever the guest is, also after a pause.
 *
 *   words 0, 1 offset · 2, 3 alarm · 4 upper half of the time that was read · 5 upper half of the
 *   time to be set · 6 armed · 7 pending · 8 enabled · rest zero
 *
 * The lower half is what acts: reading it keeps the upper one for the next read, writing it sets
 * the time, or arms the alarm.
 */
export class Rtc {
  private readonly words: Uint32Array;
  private readonly view: DataView;
  private readonly wallClock: WallClock;

  constructor(block: BoardBlock, wallClock: WallClock) {
    this.words = block.region(RTC_REGION);
    const { buffer, byteOffset, byteLength } = this.words;
    this.view = new DataView(buffer, byteOffset, byteLength);
    this.wallClock = wallClock;
  }

  get isInterrupting(): boolean {
    return this.word(PENDING) !== 0 && this.word(ENABLED) !== 0;
  }

  /** Until the alarm; Infinity without one. */
  get alarmInMs(): number {
    if (this.word(ARMED) === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, Number(this.alarmNs - this.nowNs()) / NS_PER_MS);
  }

  read(offset: number): number {
    switch (offset) {
      case TIME_LOW: {
        const now = BigInt.asUintN(64, this.nowNs());
        this.words[READ_HIGH] = Number(now >> 32n);
        return Number(now & 0xffff_ffffn);
      }
      case TIME_HIGH:
        return this.word(READ_HIGH);
      case ALARM_LOW:
        return this.word(ALARM);
      case ALARM_HIGH:
        return this.word(ALARM + 1);
      case IRQ_ENABLED:
        return this.word(ENABLED);
      case ALARM_STATUS:
        return this.word(ARMED);
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case TIME_LOW:
        return this.setTime(value);
      case TIME_HIGH:
        this.words[WRITTEN_HIGH] = value;
        return;
      case ALARM_LOW:
        this.words[ALARM] = value;
        this.words[ARMED] = 1;
        return this.poll();
      case ALARM_HIGH:
        this.words[ALARM + 1] = value;
        return;
      case IRQ_ENABLED:
        this.words[ENABLED] = value & 1;
        return;
      case CLEAR_ALARM:
        this.words[ARMED] = 0;
        return;
      case CLEAR_INTERRUPT:
        this.words[PENDING] = 0;
    }
  }

  /** The alarm may be due. */
  poll(): void {
    if (this.word(ARMED) === 0 || this.alarmNs > this.nowNs()) return;
    this.words[ARMED] = 0;
    this.words[PENDING] = 1;
  }

  reset(): void {
    this.words.fill(0);
  }

  private setTime(low: number): void {
    const time = (BigInt(this.word(WRITTEN_HIGH)) << 32n) | BigInt(low);
    this.view.setBigInt64(OFFSET * 4, BigInt.asIntN(64, time - this.hostNs()), true);
    // Set forward, it may have come to the alarm.
    this.poll();
  }

  private nowNs(): bigint {
    return this.hostNs() + this.view.getBigInt64(OFFSET * 4, true);
  }

  private hostNs(): bigint {
    return BigInt(Math.floor(this.wallClock())) * NS_PER_US;
  }

  private get alarmNs(): bigint {
    const alarm = this.view.getBigUint64(ALARM * 4, true);
    return alarm > ALARM_NS_MAX ? ALARM_NS_MAX : alarm;
  }

  private word(index: number): number {
    return this.words[index] ?? 0;
  }
}

/** Why these words cannot be the state of such a clock, or undefined. */
export function rtcDefect(words: Uint32Array): string | undefined {
  const flags = words.subarray(ARMED, USED_WORDS);
  if (flags.some((flag) => flag > 1)) return 'a flag that is neither on nor off';
  return words.subarray(USED_WORDS).some((word) => word !== 0)
    ? 'a value where zero is reserved'
    : undefined;
}
