import { describe, expect, it } from 'vitest';
import { median, quantile, rounded, spread } from '../../../../src/experiments/measuring/index.ts';

describe('statistics', () => {
  it.each([
    [[3], 0.5, 3],
    [[4, 1, 3, 2], 0.5, 2],
    [[4, 1, 3, 2], 0.51, 3],
    [[4, 1, 3, 2], 0.99, 4],
    [[4, 1, 3, 2], 0, 1],
    [Array.from({ length: 100 }, (_, index) => index + 1), 0.99, 99],
  ])('quantile of %j at %d', (samples, share, expected) => {
    expect(quantile(samples, share)).toBe(expected);
  });

  it('median is between the middle two of an even number, and does not sort as text', () => {
    expect(median([10, 9, 100, 1])).toBe(9.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  it.each([
    [0.012345, '0.0123'],
    [31.46, '31.5'],
    [2716.4, '2716'],
    [-20.06, '-20.1'],
    [Number.NaN, 'unknown'],
    [Number.POSITIVE_INFINITY, 'unknown'],
  ])('%d is shown as %s', (value, expected) => {
    expect(rounded(value)).toBe(expected);
  });

  it('extremes are shown beside the median of several only', () => {
    expect(spread([2])).toBe('2');
    expect(spread([3, 1, 2])).toBe('2 (1-3)');
    expect(spread([])).toBe('none');
  });
});
