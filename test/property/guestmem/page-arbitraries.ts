import fc from 'fast-check';
import { PAGE_BYTES, type Random } from '../../../src/base/index.ts';
import { noise } from '../../support/test-block.ts';

/** What one page is made of. Small, so that it shrinks to something that one can read. */
export type PageRecipe =
  | { readonly kind: 'zero' }
  | { readonly kind: 'noise'; readonly seed: number }
  | { readonly kind: 'one-byte'; readonly at: number; readonly value: number }
  | { readonly kind: 'filled'; readonly value: number };

/** A change of a page. Every value of `add` changes the byte. */
export interface Edit {
  readonly at: number;
  readonly length: number;
  /** Bytes from one changed byte to the next. */
  readonly step: number;
  readonly add: number;
}

const position = fc.oneof(
  fc.nat({ max: PAGE_BYTES - 1 }),
  fc.constantFrom(0, 1, 15, 16, 127, 128, PAGE_BYTES - 17, PAGE_BYTES - 2, PAGE_BYTES - 1),
);
const byteValue = fc.integer({ min: 1, max: 255 });

export const pageRecipe: fc.Arbitrary<PageRecipe> = fc.oneof(
  fc.constant({ kind: 'zero' } as const),
  fc.record({ kind: fc.constant('noise' as const), seed: fc.nat({ max: 2 ** 31 }) }),
  fc.record({ kind: fc.constant('one-byte' as const), at: position, value: byteValue }),
  fc.record({ kind: fc.constant('filled' as const), value: byteValue }),
);

const sparseEdit: fc.Arbitrary<Edit> = fc.record({
  at: position,
  length: fc.integer({ min: 1, max: 40 }),
  step: fc.constantFrom(1, 1, 2, 3, 17),
  add: byteValue,
});

/** Long enough, and at such steps, that the encoding comes near its limit. */
const denseEdit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat({ max: 8 }),
  length: fc.integer({ min: 3900, max: PAGE_BYTES }),
  step: fc.constantFrom(1, 2, 3, 4),
  add: byteValue,
});

export const edits: fc.Arbitrary<Edit[]> = fc.oneof(
  fc.array(sparseEdit, { minLength: 1, maxLength: 6 }),
  fc.tuple(denseEdit),
);

/** From no edit at all to a page that has nothing in common with the old one. */
export const anyEdits: fc.Arbitrary<Edit[]> = fc.oneof(fc.constant<Edit[]>([]), edits);

export function makePage(recipe: PageRecipe): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  if (recipe.kind === 'noise') page.set(noise(recipe.seed, PAGE_BYTES));
  else if (recipe.kind === 'filled') page.fill(recipe.value);
  else if (recipe.kind === 'one-byte') page[recipe.at] = recipe.value;
  return page;
}

export function applyEdits(page: Uint8Array, list: readonly Edit[]): void {
  for (const { at, length, step, add } of list) {
    const end = Math.min(PAGE_BYTES, at + length);
    for (let index = at; index < end; index += step) page[index] = (page[index]! + add) & 255;
  }
}

/** `count` different numbers below `bound`. */
export function distinctBelow(random: Random, bound: number, count: number): number[] {
  const chosen = new Set<number>();
  while (chosen.size < Math.min(bound, count)) chosen.add(random.below(bound));
  return [...chosen];
}
