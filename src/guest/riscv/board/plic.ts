import { MEIP, SEIP } from './address-map.ts';
import { type BoardBlock, CONTEXTS_MAX, PLIC_REGION } from './board-block.ts';

/** Lines 1 to 31; 0 means none. */
const SOURCE_COUNT = 32;
const PRIORITY_MAX = 7;

/** Words of the region; 16 enables and 16 thresholds, one for each context. */
const PENDING = 32;
const IN_SERVICE = 33;
const LEVEL = 34;
const ENABLE = 48;
const THRESHOLD = 64;

const PENDING_OFFSET = 0x1000;
const ENABLE_OFFSET = 0x2000;
const ENABLE_STRIDE = 0x80;
const CONTEXT_OFFSET = 0x20_0000;
const CONTEXT_STRIDE = 0x1000;
const CLAIM = 4;

/** A hart's `mip`: one word that devices and hart change by atomics. */
export interface MipWord {
  readonly words: Int32Array;
  readonly index: number;
}

/**
 * The interrupt controller: 32 level-triggered sources, a machine-mode (2h) and a supervisor-mode
 * context (2h + 1) for each hart h. Registers are words; any other access reads zero or is ignored.
 *
 *   word 0 priorities, 32 · 32 pending · 33 in service: claimed, not completed · 34 level of the
 *   lines · 48 enabled sources of each context, 16 · 64 thresholds, 16 · rest zero
 *
 * A gateway forwards a high line once, and then not again before its completion. What it has
 * forwarded stays pending when the line falls, as the specification says.
 */
export class Plic {
  private readonly words: Uint32Array;
  private readonly mips: readonly MipWord[];
  private readonly wake: (hart: number) => void;

  constructor(block: BoardBlock, mips: readonly MipWord[], wake: (hart: number) => void) {
    this.words = block.region(PLIC_REGION);
    this.mips = mips;
    this.wake = wake;
  }

  read(offset: number): number {
    if (offset < SOURCE_COUNT * 4) return this.word(offset / 4);
    if (offset === PENDING_OFFSET) return this.word(PENDING);
    const enable = this.enableContext(offset);
    if (enable !== undefined) return this.word(ENABLE + enable);
    const context = this.controlContext(offset);
    if (context === undefined) return 0;
    if (offset % CONTEXT_STRIDE === CLAIM) return this.claim(context);
    return this.word(THRESHOLD + context);
  }

  write(offset: number, value: number): void {
    const enable = this.enableContext(offset);
    const context = this.controlContext(offset);
    if (offset > 0 && offset < SOURCE_COUNT * 4) {
      this.words[offset / 4] = value & PRIORITY_MAX;
    } else if (enable !== undefined) {
      this.words[ENABLE + enable] = value & ~1;
    } else if (context !== undefined) {
      if (offset % CONTEXT_STRIDE === CLAIM) this.complete(context, value);
      else this.words[THRESHOLD + context] = value & PRIORITY_MAX;
    } else return;
    this.updateHarts();
  }

  /** The level of all lines, a bit each. */
  setLevels(levels: number): void {
    this.words[LEVEL] = levels;
    this.forward();
    this.updateHarts();
  }

  /** Sets the interrupt bits of every hart as the state says. */
  updateHarts(): void {
    for (const [hart, mip] of this.mips.entries()) {
      this.updateBit(hart, mip, MEIP, this.best(2 * hart) !== 0);
      this.updateBit(hart, mip, SEIP, this.best(2 * hart + 1) !== 0);
    }
  }

  reset(): void {
    this.words.fill(0);
    this.updateHarts();
  }

  private updateBit(hart: number, { words, index }: MipWord, bit: number, isSet: boolean): void {
    // Both pair with the atomic loads of `mip` in the hart. Only this class changes these bits.
    if (!isSet) Atomics.and(words, index, ~bit);
    else if ((Atomics.or(words, index, bit) & bit) === 0) this.wake(hart);
  }

  /** The source that the context would claim now; 0: none. */
  private best(context: number): number {
    const ready = this.word(PENDING) & this.word(ENABLE + context);
    let best = 0;
    let priority = this.word(THRESHOLD + context);
    // Of equal priorities the lowest number wins.
    for (let source = 1; ready !== 0 && source < SOURCE_COUNT; source += 1) {
      if (((ready >>> source) & 1) === 1 && this.word(source) > priority) {
        best = source;
        priority = this.word(source);
      }
    }
    return best;
  }

  private claim(context: number): number {
    const source = this.best(context);
    if (source !== 0) {
      this.words[PENDING] = this.word(PENDING) & ~(1 << source);
      this.words[IN_SERVICE] = this.word(IN_SERVICE) | (1 << source);
      this.updateHarts();
    }
    return source;
  }

  private complete(context: number, source: number): void {
    if (source === 0 || source >= SOURCE_COUNT) return;
    const bit = 1 << source;
    if ((this.word(ENABLE + context) & bit) === 0) return;
    this.words[IN_SERVICE] = this.word(IN_SERVICE) & ~bit;
    this.forward();
  }

  private forward(): void {
    this.words[PENDING] = this.word(PENDING) | (this.word(LEVEL) & ~this.word(IN_SERVICE));
  }

  private enableContext(offset: number): number | undefined {
    const context = (offset - ENABLE_OFFSET) / ENABLE_STRIDE;
    // Only the first word of each context: there are no sources beyond 31.
    return this.isContext(context) ? context : undefined;
  }

  private controlContext(offset: number): number | undefined {
    const register = offset % CONTEXT_STRIDE;
    const context = (offset - register - CONTEXT_OFFSET) / CONTEXT_STRIDE;
    return this.isContext(context) && (register === 0 || register === CLAIM) ? context : undefined;
  }

  private isContext(context: number): boolean {
    return Number.isInteger(context) && context >= 0 && context < this.mips.length * 2;
  }

  private word(index: number): number {
    return this.words[index] ?? 0;
  }
}

/** Why these words cannot be the state of a PLIC with these lines and levels, or undefined. */
export function plicDefect(
  words: Uint32Array,
  hartCount: number,
  lines: number,
  levels: number,
): string | undefined {
  const word = (index: number) => words[index] ?? 0;
  if (word(LEVEL) !== levels >>> 0) return 'levels that the devices do not have';
  if (((word(PENDING) | word(IN_SERVICE)) & ~lines) !== 0) return 'a line that no device has';
  if ((word(PENDING) & word(IN_SERVICE)) !== 0) return 'a line pending and in service at once';
  const forwarded = word(PENDING) | word(IN_SERVICE);
  if ((levels & ~forwarded) !== 0) return 'a line that is high and was not forwarded';
  const enables = words.subarray(ENABLE, ENABLE + CONTEXTS_MAX);
  if (enables.some((enabled) => (enabled & 1) !== 0)) return 'an interrupt of line 0';
  const thresholds = words.subarray(THRESHOLD, THRESHOLD + CONTEXTS_MAX);
  const priorities = [...words.subarray(0, SOURCE_COUNT), ...thresholds];
  if (priorities.some((priority) => priority > PRIORITY_MAX)) return 'an impossible priority';
  const reserved = [
    word(0),
    ...words.subarray(LEVEL + 1, ENABLE),
    ...enables.subarray(2 * hartCount),
    ...thresholds.subarray(2 * hartCount),
    ...words.subarray(THRESHOLD + CONTEXTS_MAX),
  ];
  return reserved.some((value) => value !== 0) ? 'a value where zero is reserved' : undefined;
}
