import { describe, expect, test } from 'vitest';
import { deferred } from '../../../src/base/index.ts';
import { FrameOrder } from '../../../src/source/frames/frame-order.ts';

/** Notes the frames in the order in which they go out. */
function noting() {
  const out: string[] = [];
  return { out, write: (name: string) => () => void out.push(name) };
}

describe('FrameOrder', () => {
  test('a frame goes at once when none is before it', () => {
    const { out, write } = noting();
    const order = new FrameOrder();
    order.ready(write('a'));
    expect([out, order.isEmpty]).toEqual([['a'], true]);
  });

  test('frames that are finished in any order go in the order in which they were begun', async () => {
    const { out, write } = noting();
    const order = new FrameOrder();
    const [a, c] = [deferred<() => void>(), deferred<() => void>()];
    order.pending(a.promise, () => {});
    order.ready(write('b'));
    order.pending(c.promise, () => {});
    order.ready(write('d'));
    c.resolve(write('c'));
    await c.promise;
    expect(out).toEqual([]);
    a.resolve(write('a'));
    await a.promise;
    expect([out, order.isEmpty]).toEqual([['a', 'b', 'c', 'd'], true]);
  });

  test('nothing goes past a frame that never will be finished', async () => {
    const { out, write } = noting();
    const order = new FrameOrder();
    const failed = deferred<unknown>();
    order.pending(Promise.reject(new Error('no')), failed.resolve);
    order.ready(write('b'));
    expect(await failed.promise).toMatchObject({ message: 'no' });
    expect([out, order.isEmpty]).toEqual([[], false]);
  });
});
