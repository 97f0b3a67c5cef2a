import { describe, expect, test } from 'vitest';
import { checkBegin, checkDecision } from '../../../../src/source/index.ts';

const ALL = { throttle: true, postcopy: true, suspend: true, cancel: true };
const NONE = { throttle: false, postcopy: false, suspend: false, cancel: false };

describe('checkDecision()', () => {
  test.each<[object]>([
    [{ action: 'iterate' }],
    [{ action: 'iterate', bytesPerSecond: 0 }],
    [{ action: 'iterate', bytesPerSecond: 1e6, throttlePercent: 99, because: 'so' }],
    [{ action: 'iterate', passMsMax: 0.5 }],
    [{ action: 'stop-and-copy', reason: 'converged' }],
    [{ action: 'postcopy', reason: 'my-own' }],
    [{ action: 'give-up', reason: 'timeout' }],
  ])('lets %j through', (decision) => {
    expect(checkDecision(decision, ALL)).toEqual({ ok: true, value: decision });
  });

  test('drops what it does not know, and cuts what is too long', () => {
    const answer = { action: 'iterate', because: 'x'.repeat(1000), later: 1 };
    const checked = checkDecision(answer, ALL);
    expect(checked).toEqual({ ok: true, value: { action: 'iterate', because: 'x'.repeat(200) } });
  });

  test.each<[unknown, string]>([
    [undefined, 'must return an object'],
    [null, 'must return an object'],
    ['iterate', 'must return an object'],
    [[], 'must return an object'],
    [{}, 'action must be'],
    [{ action: 'stop' }, 'not "stop"'],
    [{ action: 'stop-and-copy' }, 'reason'],
    [{ action: 'give-up', reason: 'Not A Word' }, 'reason'],
    [{ action: 'iterate', bytesPerSecond: -1 }, 'bytesPerSecond'],
    [{ action: 'iterate', bytesPerSecond: Number.NaN }, 'bytesPerSecond'],
    [{ action: 'iterate', bytesPerSecond: 10 }, 'bytesPerSecond'],
    [{ action: 'iterate', bytesPerSecond: '1' }, 'bytesPerSecond'],
    [{ action: 'iterate', passMsMax: 0 }, 'passMsMax'],
    [{ action: 'iterate', passMsMax: '5' }, 'passMsMax'],
    [{ action: 'iterate', passMsMax: Number.NaN }, 'passMsMax'],
    [{ action: 'iterate', throttlePercent: 100 }, 'throttlePercent'],
    [{ action: 'iterate', throttlePercent: -1 }, 'throttlePercent'],
    [{ action: 'iterate', throttlePercent: Number.NaN }, 'throttlePercent'],
  ])('refuses %j', (answer, problem) => {
    const checked = checkDecision(answer, ALL);
    expect(checked).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
  });

  test('refuses what the user does not allow', () => {
    const postcopy = checkDecision({ action: 'postcopy', reason: 'passes' }, NONE);
    const throttle = checkDecision({ action: 'iterate', throttlePercent: 1 }, NONE);
    expect([postcopy.ok, throttle.ok]).toEqual([false, false]);
    expect(checkDecision({ action: 'iterate', throttlePercent: 0 }, NONE).ok).toBe(true);
  });
});

describe('checkBegin()', () => {
  test.each([
    [undefined, {}],
    [null, {}],
    [{}, {}],
    [{ bytesPerSecond: 1e6, more: 1 }, { bytesPerSecond: 1e6 }],
  ])('lets %j through', (answer, value) => {
    expect(checkBegin(answer)).toEqual({ ok: true, value });
  });

  test.each([[1], ['1'], [{ bytesPerSecond: Number.POSITIVE_INFINITY }]])(
    'refuses %j',
    (answer) => {
      expect(checkBegin(answer).ok).toBe(false);
    },
  );
});
