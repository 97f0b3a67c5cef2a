import { describe, expect, test } from 'vitest';
import { SimClock, SternaError } from '../../../src/base/index.ts';
import { Interrupt } from '../../../src/source/interrupt.ts';

const reset = new SternaError('E_CHANNEL_RESET', 'Lost');
const cancelled = new SternaError('E_CANCELLED', 'Cancelled');

function setUp() {
  const clock = new SimClock();
  return { clock, interrupt: new Interrupt(clock) };
}

describe('Interrupt', () => {
  test('raise() keeps the first error', () => {
    const { interrupt } = setUp();
    expect(() => interrupt.throwIfRaised()).not.toThrow();
    interrupt.raise(cancelled);
    interrupt.raise(reset);
    expect(interrupt.error).toBe(cancelled);
    expect(() => interrupt.throwIfRaised()).toThrow(cancelled);
  });

  test('raise() ends every wait, and waits that come later', async () => {
    const { clock, interrupt } = setUp();
    const waits = [
      interrupt.wait(),
      interrupt.waitFor(1e9),
      interrupt.until(() => false, 1e9, 'x'),
    ];
    const results = Promise.allSettled(waits);
    await clock.advance(1);
    interrupt.raise(reset);
    for (const result of await clock.runUntil(results)) {
      expect(result).toEqual({ status: 'rejected', reason: reset });
    }
    await expect(interrupt.wait()).rejects.toBe(reset);
    await expect(interrupt.waitFor(1)).rejects.toBe(reset);
    expect(clock.nowMs()).toBe(1);
  });

  test('wake() ends waits before their time, without an error', async () => {
    const { clock, interrupt } = setUp();
    let over = 0;
    for (const wait of [interrupt.wait(), interrupt.waitFor(500)]) void wait.then(() => over++);
    await clock.advance(10);
    expect(over).toBe(0);
    interrupt.wake();
    await clock.advance(0);
    expect(over).toBe(2);
  });

  test('waitFor() ends by itself when its time is over', async () => {
    const { clock, interrupt } = setUp();
    await clock.runUntil(interrupt.waitFor(25));
    expect(clock.nowMs()).toBe(25);
  });

  test('until() looks again at each wake, and returns when the condition holds', async () => {
    const { clock, interrupt } = setUp();
    let ready = false;
    let looks = 0;
    const done = interrupt.until(
      () => {
        looks += 1;
        return ready;
      },
      1000,
      'answer',
    );
    await clock.advance(100);
    interrupt.wake();
    await clock.advance(100);
    expect(looks).toBe(2);
    ready = true;
    interrupt.wake();
    await clock.runUntil(done);
    expect(clock.nowMs()).toBe(200);
  });

  test('until() throws E_CHANNEL_TIMEOUT after its limit, however often it is woken', async () => {
    const { clock, interrupt } = setUp();
    const stop = clock.every(30, () => interrupt.wake());
    const failed = interrupt.until(() => false, 100, 'SWITCHOVER_ACK').catch((error) => error);
    const error = await clock.runUntil(failed);
    stop();
    expect(error).toMatchObject({
      code: 'E_CHANNEL_TIMEOUT',
      message: 'No SWITCHOVER_ACK within 100 ms',
    });
    expect(clock.nowMs()).toBe(100);
  });

  test('until() returns at once when the condition already holds', async () => {
    const { interrupt } = setUp();
    interrupt.raise(reset);
    await expect(interrupt.until(() => true, 1, 'x')).resolves.toBeUndefined();
  });
});
