/** Which page a write goes to next. Their order is the number by which a program knows them. */
export const WRITE_PATTERNS = ['seq', 'random', 'zipf', 'walk'] as const;
export type WritePattern = (typeof WRITE_PATTERNS)[number];
