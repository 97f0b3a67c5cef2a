import { beforeEach, describe, expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import type { RamBlock } from '../../../src/guestmem/index.ts';
import { PushOrder } from '../../../src/source/postcopy/push-order.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

let block: RamBlock;
let order: PushOrder;

/** Page numbers on the list of the next gather. */
function taken(max: number): number[] {
  const count = order.take(max);
  return [...new Uint32Array(block.memory.buffer, 0x10000, count)];
}

beforeEach(() => {
  const { memory } = new FakeMachine(new SimClock());
  [block] = memory.blocks as [RamBlock, ...RamBlock[]];
  for (const each of memory.blocks)
    each.setDirty(new Uint8Array(Math.ceil(each.layout.pageCount / 8)));
  block.setDirty(new Uint8Array(Math.ceil(block.layout.pageCount / 8)).fill(0xff, 0, 100));
  order = new PushOrder(memory, 'bubbling');
});

function fault(pfn: number): void {
  order.faulted(block, pfn);
  block.takeDirty(pfn, pfn + 1, 1);
}

describe('PushOrder', () => {
  test('goes outward from a fault', () => {
    fault(400);
    expect(taken(4)).toEqual([399, 398, 401, 402]);
    expect(taken(4)).toEqual([397, 396, 403, 404]);
  });

  test('goes on upwards for the most part where the guest has caught up with the upper edge', () => {
    fault(400);
    taken(4);
    fault(403);
    expect(taken(4)).toEqual([397, 404, 405, 406]);
    // What it has left out is near it, and comes first.
    fault(410);
    expect(taken(8)).toEqual([396, 395, 407, 408, 409, 411, 412, 413]);
  });

  test('goes on downwards for the most part where it has caught up with the lower edge', () => {
    fault(400);
    taken(4);
    fault(397);
    expect(taken(4)).toEqual([396, 395, 394, 403]);
  });

  test('takes a fault on what is under way for the guest behind it, not for a new place', () => {
    fault(400);
    for (let frame = 0; frame < 40; frame += 1) taken(4);
    // 80 pages each way are under way; the guest is near the upper end.
    fault(470);
    expect(taken(4)).toEqual([319, 481, 482, 483]);
  });

  test('gives every second turn to the latest fault, every fourth to the one before', () => {
    for (const pfn of [100, 300, 500]) fault(pfn);
    const places = Array.from({ length: 8 }, () => Math.round(taken(2)[0]! / 100));
    expect(places).toEqual([5, 3, 5, 1, 5, 3, 5, 1]);
  });

  test('takes every page once, whatever faults come', () => {
    const seen = new Set<number>();
    for (let step = 0; seen.size < 800; step += 1) {
      const pfn = (step * 37) % 800;
      if (step % 3 === 0 && block.isDirty(pfn)) {
        fault(pfn);
        seen.add(pfn);
      }
      for (const page of taken(8)) {
        expect(seen.has(page)).toBe(false);
        seen.add(page);
      }
    }
    expect(block.countDirty()).toBe(0);
  });

  test('goes on downwards when nothing is left above', () => {
    fault(790);
    taken(4);
    fault(793);
    expect(taken(10)).toEqual([787, 786, 794, 795, 796, 797, 798, 799, 785, 784]);
  });
});
