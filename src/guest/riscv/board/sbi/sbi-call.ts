/** The hart that calls, as the firmware sees it. */
export interface SbiHart {
  /** Its number. */
  readonly hart: number;
  /** Register x10 + `index` (a0 to a7), 64 bits without a sign. */
  argument(index: number): bigint;
  setArgument(index: number, value: bigint): void;
  /** `stimecmp`, in ticks. */
  setTimer(ticks: bigint): void;
}

/**
 * What the caller does next: `done` goes on behind the ecall; `flush` does too, once the hart has
 * dropped all derived data (TLBs and decoded code); `retry` repeats the ecall later, because there
 * was no room for its output.
 */
export type SbiOutcome = 'done' | 'flush' | 'retry';

/** What an extension says: a code and a value for a0 and a1, and the outcome. */
export interface SbiReply {
  readonly error: bigint;
  readonly value: bigint;
  readonly outcome: SbiOutcome;
}

/** A function of an extension; undefined: there is no such function. */
export type SbiExtension = (functionId: bigint, hart: SbiHart) => SbiReply | undefined;

export const SBI_FAILED = -1n;
export const SBI_NOT_SUPPORTED = -2n;
export const SBI_INVALID_PARAMETER = -3n;
export const SBI_ALREADY_AVAILABLE = -6n;

export function sbiSuccess(value = 0n, outcome: SbiOutcome = 'done'): SbiReply {
  return { error: 0n, value, outcome };
}

export function sbiError(error: bigint): SbiReply {
  return { error, value: 0n, outcome: 'done' };
}

/**
 * The harts of a mask (a0) that begins at hart a1; all of them when a1 is all ones. Undefined: it
 * names one that does not exist.
 */
export function maskedHarts(caller: SbiHart, hartCount: number): number[] | undefined {
  const mask = caller.argument(0);
  const base = caller.argument(1);
  const all = Array.from({ length: hartCount }, (_, hart) => hart);
  if (base === 0xffff_ffff_ffff_ffffn) return all;
  const known = all.filter((hart) => {
    const bit = BigInt(hart) - base;
    return bit >= 0n && bit < 64n && ((mask >> bit) & 1n) === 1n;
  });
  const named = mask.toString(2).replaceAll('0', '').length;
  return known.length === named ? known : undefined;
}
