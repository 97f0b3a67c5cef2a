/**
 * A promise of the next notify of a shared word, or undefined when the word is not `value` any
 * more. It blocks nobody, and does not keep the thread alive by itself.
 */
export function waitAsync(
  words: Int32Array,
  index: number,
  value: number,
  timeoutMs?: number,
): Promise<string> | undefined {
  // Pairs with the notify that the caller names.
  const wait = asyncAtomics.waitAsync(words, index, value, timeoutMs);
  return wait.async ? wait.value : undefined;
}

/** Node has it since 16; the library of ES2023 does not. */
interface AsyncAtomics {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
    timeoutMs?: number,
  ): { readonly async: false } | { readonly async: true; readonly value: Promise<string> };
}

// The global object of every supported Node implements this interface (ECMAScript 2024).
const asyncAtomics = Atomics as unknown as AsyncAtomics;
