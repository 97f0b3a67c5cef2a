import { expect, test } from 'vitest';
import { AssertionError, Random, SimClock } from '../../../src/base/index.ts';

test('sleep() wakes in the order of time, and ties in the order of the calls', async () => {
  const clock = new SimClock();
  const woken: string[] = [];
  const sleeper = async (name: string, ms: number) => {
    await clock.sleep(ms);
    woken.push(`${name}@${clock.nowMs()}`);
  };
  const all = Promise.all([
    sleeper('c', 20),
    sleeper('a', 10),
    sleeper('d', 20),
    sleeper('b', 10),
    sleeper('z', 0),
  ]);
  await clock.runUntil(all);
  expect(woken).toEqual(['z@0', 'a@10', 'b@10', 'c@20', 'd@20']);
});

test('advance() serves what falls due, chains included, and ends at its time', async () => {
  const clock = new SimClock({ startMs: 1000 });
  let wakeUps = 0;
  void (async () => {
    for (;;) {
      await clock.sleep(10);
      wakeUps += 1;
    }
  })();
  await clock.advance(35);
  expect([wakeUps, clock.nowMs()]).toEqual([3, 1035]);
  await clock.advance(5);
  expect([wakeUps, clock.nowMs()]).toEqual([4, 1040]);
});

test('one wake-up is finished, promises and all, before the next', async () => {
  const clock = new SimClock();
  const steps: string[] = [];
  const actor = async (name: string) => {
    await clock.sleep(5);
    steps.push(`${name}1`);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    steps.push(`${name}2`);
  };
  await clock.runUntil(Promise.all([actor('a'), actor('b')]));
  expect(steps).toEqual(['a1', 'a2', 'b1', 'b2']);
});

test('sleep() resolves at once when its signal aborts, and leaves no timer behind', async () => {
  const clock = new SimClock();
  const controller = new AbortController();
  const sleeping = clock.sleep(1000, controller.signal);
  controller.abort();
  await sleeping;
  await clock.sleep(1000, controller.signal);
  expect(clock.nowMs()).toBe(0);
  await expect(clock.runUntil(new Promise(() => {}))).rejects.toThrow(AssertionError);
});

test('every() calls back each period until it is stopped, also from within', async () => {
  const clock = new SimClock();
  const calls: number[] = [];
  const stop = clock.every(10, () => {
    calls.push(clock.nowMs());
    if (calls.length === 3) stop();
  });
  await clock.advance(100);
  expect(calls).toEqual([10, 20, 30]);
});

test('runUntil() fails at once when only repeating timers are left', async () => {
  const clock = new SimClock();
  clock.every(10, () => {});
  await expect(clock.runUntil(new Promise(() => {}))).rejects.toThrow('Nothing can wake the run');
});

test('runUntil() fails when the work is not done within its limit', async () => {
  const clock = new SimClock();
  const endless = (async () => {
    for (;;) await clock.sleep(10);
  })();
  await expect(clock.runUntil(endless, 1000)).rejects.toThrow('did not end within 1000 ms');
});

test('runUntil() passes the failure of the work on', async () => {
  const clock = new SimClock();
  const failing = clock.sleep(5).then(() => Promise.reject(new Error('as planned')));
  await expect(clock.runUntil(failing)).rejects.toThrow('as planned');
});

test('yieldToLoop() moves time, so that a loop that only yields ends', async () => {
  const clock = new SimClock();
  const spinning = (async () => {
    while (clock.nowMs() < 1) await clock.yieldToLoop();
  })();
  await clock.runUntil(spinning);
  expect(clock.nowMs()).toBeGreaterThanOrEqual(1);
});

test('two actors interleave the same way for one seed, and another way for another', async () => {
  const history = async (seed: number): Promise<string> => {
    const clock = new SimClock();
    const random = new Random(seed);
    const steps: string[] = [];
    const actor = async (name: string) => {
      for (let step = 0; step < 30; step += 1) {
        await clock.sleep(random.below(5));
        steps.push(name);
      }
    };
    await clock.runUntil(Promise.all([actor('a'), actor('b')]));
    return steps.join('');
  };
  expect(await history(7)).toBe(await history(7));
  expect(await history(7)).not.toBe(await history(8));
});
