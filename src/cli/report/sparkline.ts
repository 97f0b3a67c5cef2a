const LEVELS = '▁▂▃▄▅▆▇█';
const WIDTH_MAX = 40;

/** Shares from 0 to 1 as a line of at most 40 columns; of more, neighbours are put together. */
export function sparkline(shares: readonly number[]): string {
  return merged(shares).map(level).join('');
}

/** How many shares stand behind one column. */
export function sharesPerColumn(count: number): number {
  return Math.max(1, Math.ceil(count / WIDTH_MAX));
}

/** The mean of each column. */
function merged(shares: readonly number[]): number[] {
  const width = sharesPerColumn(shares.length);
  return Array.from({ length: Math.ceil(shares.length / width) }, (_, column) => {
    const some = shares.slice(column * width, (column + 1) * width);
    return some.reduce((sum, share) => sum + share, 0) / some.length;
  });
}

function level(share: number): string {
  const index = Math.ceil(Math.min(1, Math.max(0, share)) * (LEVELS.length - 1));
  return LEVELS[index] ?? '?';
}
