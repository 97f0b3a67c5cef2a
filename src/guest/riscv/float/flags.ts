// What the functions of this folder report beside their result, and the modes that they round by.

// The bits of fflags.
export const INVALID: u32 = 16;
export const DIVIDE_BY_ZERO: u32 = 8;
export const OVERFLOW: u32 = 4;
export const UNDERFLOW: u32 = 2;
export const INEXACT: u32 = 1;

// The encodings of frm. Whoever calls has resolved the dynamic mode and refused the reserved ones.
export const NEAREST_EVEN: u32 = 0;
export const TOWARD_ZERO: u32 = 1;
export const DOWN: u32 = 2;
export const UP: u32 = 3;
export const NEAREST_AWAY: u32 = 4;

// Accrued: the functions only ever set bits in it, whoever calls them reads and clears it. It lives
// in the instance, not in the memory, so each hart has its own. Whoever keeps fflags elsewhere has
// to load it here before arithmetic: INEXACT that is set already is what makes it fast.
export let floatFlags: u32 = 0;

@inline export function raise(flags: u32): void {
  floatFlags |= flags;
}

@inline export function isInexactRaised(): bool {
  return (floatFlags & INEXACT) != 0;
}
