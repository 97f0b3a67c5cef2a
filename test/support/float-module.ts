import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { MODES, type Mode, NX, type Result } from '../reference/ieee754.ts';

interface FloatExports {
  readonly floatFlags: { value: number };
  readonly [name: string]: unknown;
}

const module = new WebAssembly.Module(
  readFileSync(new URL('../../dist/guest/riscv-float.wasm', import.meta.url)),
);

/** One page, nothing of which the module may change. */
export const floatMemory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });

// The exports are those of src/guest/riscv/float/float.ts.
const exports = new WebAssembly.Instance(module, { env: { memory: floatMemory } })
  .exports as unknown as FloatExports;

/** Calls a function of the module by its name; operands and result are bits. */
export function callFloat(
  name: string,
  operands: readonly bigint[],
  mode: Mode | undefined,
  flagsBefore: number,
): Result {
  const operation = exports[name] as (...values: (number | bigint)[]) => number | bigint;
  const operandsAre32 = name.includes('_from_') ? name.endsWith('_f32') : name.startsWith('f32_');
  const values: (number | bigint)[] = operandsAre32 ? operands.map(Number) : [...operands];
  if (mode !== undefined) values.push(MODES.indexOf(mode));
  exports.floatFlags.value = flagsBefore;
  const result = operation(...values);
  const value = typeof result === 'number' ? BigInt(result >>> 0) : BigInt.asUintN(64, result);
  return { value, flags: exports.floatFlags.value };
}

/**
 * The result and the flags, from no flags and from INEXACT alone: the machine's own instructions
 * serve the two in different ways.
 */
export function expectFloat(
  name: string,
  operands: readonly bigint[],
  mode: Mode | undefined,
  expected: Result,
): void {
  for (const before of [0, NX]) {
    const actual = callFloat(name, operands, mode, before);
    // A comparison before expect(), which is slow, and this is called very often.
    if (actual.value === expected.value && actual.flags === (expected.flags | before)) continue;
    const shown = operands.map((operand) => operand.toString(16)).join(', ');
    const call = `${name}(${shown}) ${mode ?? ''} after flags ${before}`;
    expect(shownResult(actual), call).toBe(
      shownResult({ value: expected.value, flags: expected.flags | before }),
    );
  }
}

function shownResult({ value, flags }: Result): string {
  return `${value.toString(16)}, flags ${flags}`;
}
