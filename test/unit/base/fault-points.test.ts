import { describe, expect, test } from 'vitest';
import { FAULT_POINTS, parseFaultPoint, reachFault } from '../../../src/base/index.ts';

describe('parseFaultPoint()', () => {
  test('reads every name, with and without a count', () => {
    for (const point of FAULT_POINTS) {
      expect(parseFaultPoint(point)).toEqual({ point, nth: 1 });
      expect(parseFaultPoint(`${point}@12`)).toEqual({ point, nth: 12 });
    }
    expect(new Set(FAULT_POINTS).size).toBe(FAULT_POINTS.length);
  });

  test.each(['', 'source', 'source.paused@0', 'source.paused@', 'source.paused@x', 'toString'])(
    'refuses %j, and says what there is',
    (text) => {
      expect(() => parseFaultPoint(text)).toThrow(
        expect.objectContaining({
          code: 'E_CONFIG_INVALID',
          detail: expect.objectContaining({ names: expect.stringContaining('source.paused') }),
        }),
      );
    },
  );
});

describe('reachFault()', () => {
  test('strikes once, at the N-th time that the point is reached', () => {
    const struck: number[] = [];
    let step = 0;
    const reached = reachFault(parseFaultPoint('destination.page-applied@3'), () =>
      struck.push(step),
    );
    for (step = 1; step <= 6; step += 1) {
      reached('source.paused');
      reached('destination.page-applied');
    }
    expect(struck).toEqual([3]);
  });

  test('does nothing when no fault is planned', () => {
    const reached = reachFault(undefined, () => expect.unreachable());
    for (const point of FAULT_POINTS) reached(point);
  });
});
