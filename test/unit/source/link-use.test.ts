import { describe, expect, test } from 'vitest';
import { type LinkState, LinkUse } from '../../../src/source/codec/link-use.ts';

const STATE: LinkState = {
  nowMs: 1000,
  measuredBytesPerMs: 5000,
  limitBytesPerMs: undefined,
  sentBytes: 0,
  acknowledgedBytes: 0,
  roundTripMs: 0,
};

function used(waitMs: number, workMs: number): LinkUse {
  const use = new LinkUse();
  use.frame(1000, waitMs, workMs);
  return use;
}

describe('LinkUse', () => {
  test('a link that is waited for has the rate that was measured', () => {
    expect(used(8, 2).bytesPerMs(STATE)).toBe(5000);
  });

  test('a link that is not waited for has no rate: the sender is what is slow', () => {
    expect(used(0, 10).bytesPerMs(STATE)).toBe(Number.POSITIVE_INFINITY);
  });

  test('a rate that the link has shown holds for a moment, and then must show again', () => {
    const use = used(8, 2);
    use.bytesPerMs(STATE);
    for (let n = 0; n < 10; n += 1) use.frame(1000, 0, 30);
    const slower = { ...STATE, measuredBytesPerMs: 700 };
    expect(use.bytesPerMs({ ...slower, nowMs: 1290 })).toBe(5000);
    expect(use.bytesPerMs({ ...slower, nowMs: 1310 })).toBe(Number.POSITIVE_INFINITY);
  });

  test('a limit of the user is a link of that rate, whatever is known of the real one', () => {
    const limited = { ...STATE, limitBytesPerMs: 300 };
    expect(used(0, 10).bytesPerMs(limited)).toBe(300);
    expect(new LinkUse().bytesPerMs({ ...limited, measuredBytesPerMs: undefined })).toBe(300);
    expect(used(8, 2).bytesPerMs({ ...limited, limitBytesPerMs: 9000 })).toBe(5000);
  });

  test('before a measurement the first answers tell a slow link from a fast one', () => {
    const unmeasured = { ...STATE, measuredBytesPerMs: undefined };
    const use = used(0, 1);
    expect(use.bytesPerMs({ ...unmeasured, nowMs: 1004 })).toBeUndefined();
    expect(use.bytesPerMs({ ...unmeasured, nowMs: 1104, roundTripMs: 100 })).toBeUndefined();
    const silent = use.bytesPerMs({ ...unmeasured, nowMs: 1010, sentBytes: 2e6 });
    expect(silent).toBeLessThan(60_000);
    const arrived = { sentBytes: 20e6, acknowledgedBytes: 18e6 };
    const fast = use.bytesPerMs({ ...unmeasured, nowMs: 1010, ...arrived });
    expect(fast).toBe(Number.POSITIVE_INFINITY);
  });

  test('the first answers are waited for a moment, once a frame has gone', () => {
    const unmeasured = { ...STATE, measuredBytesPerMs: undefined, roundTripMs: 2 };
    const use = used(0, 1);
    const MIB = 2 ** 20;
    expect(use.lookMs({ ...unmeasured, sentBytes: 1000 })).toBe(0);
    expect(use.lookMs({ ...unmeasured, sentBytes: MIB })).toBe(7);
    expect(use.lookMs({ ...unmeasured, sentBytes: MIB, nowMs: 1003 })).toBe(4);
    expect(use.lookMs({ ...unmeasured, sentBytes: MIB, nowMs: 1008 })).toBe(0);
    const arrived = { sentBytes: MIB, acknowledgedBytes: MIB };
    expect(use.lookMs({ ...unmeasured, ...arrived })).toBe(0);
    expect(use.bytesPerMs({ ...unmeasured, ...arrived })).toBe(Number.POSITIVE_INFINITY);
  });

  test('they are not waited for over a long way, nor where the rate is known', () => {
    const state = { ...STATE, measuredBytesPerMs: undefined, sentBytes: 2 ** 20, roundTripMs: 2 };
    expect(used(0, 1).lookMs({ ...state, roundTripMs: 100 })).toBe(0);
    expect(used(0, 1).lookMs({ ...state, limitBytesPerMs: 300 })).toBe(0);
    expect(used(0, 1).lookMs({ ...state, measuredBytesPerMs: 5000 })).toBe(0);
    expect(new LinkUse().lookMs(state)).toBe(0);
  });
});
