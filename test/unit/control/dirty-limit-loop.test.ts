import { describe, expect, test } from 'vitest';
import { SimClock, SternaError, silentLogger } from '../../../src/base/index.ts';
import { DirtyLimitLoop } from '../../../src/control/dirty-limit/dirty-limit-loop.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

/** Its two vCPUs dirty so many pages in each period; even pages are the first one's. */
class Writer {
  readonly clock = new SimClock();
  pages = [1024, 0];
  readonly machine = new FakeMachine(this.clock, { beforeFlip: (machine) => this.write(machine) });
  readonly loop = new DirtyLimitLoop(this.clock, silentLogger());

  percents(): number[] {
    return [0, 1].map(
      (vcpu) => this.machine.throttles.findLast((set) => set.vcpu === vcpu)?.percent ?? 0,
    );
  }

  private write(machine: FakeMachine): void {
    this.pages.forEach((count, vcpu) => {
      for (let page = 0; page < count; page += 1) {
        machine.write(1, page * 2 + vcpu, 0, Uint8Array.of(1, page));
      }
    });
  }
}

describe('DirtyLimitLoop', () => {
  test('looks once a period, and slows the vCPU that dirties too much', async () => {
    const { clock, loop, machine, ...writer } = new Writer();
    loop.set(machine, undefined, 1, 1000);
    await clock.advance(2500);
    expect(machine.flipCount).toBe(3);
    // 4 MB/s of 1 MB/s.
    expect(loop.query()).toEqual([
      { vcpu: 0, limitMegabytesPerSecond: 1, currentMegabytesPerSecond: 4 },
      { vcpu: 1, limitMegabytesPerSecond: 1, currentMegabytesPerSecond: 0 },
    ]);
    expect(machine.throttles.every(({ reason }) => reason === 'dirty-limit')).toBe(true);
    expect(machine.throttles.findLast(({ vcpu }) => vcpu === 0)!.percent).toBeGreaterThanOrEqual(
      75,
    );
    expect(machine.throttles.findLast(({ vcpu }) => vcpu === 1)!.percent).toBe(0);
    expect(writer.pages).toEqual([1024, 0]);
  });

  test('counts a page of two vCPUs for both, and leaves nothing dirty behind', async () => {
    const { clock, loop, machine } = new Writer();
    loop.set(machine, 0, 1, 1000);
    await clock.advance(1500);
    expect(machine.memory.blocks.map((block) => block.countDirty())).toEqual([0, 0, 0]);
    expect(machine.memory.populatedPages).toBe(1024);
  });

  test('ends when the last limit is cancelled, and lets the vCPUs go', async () => {
    const writer = new Writer();
    const { clock, loop, machine } = writer;
    loop.set(machine, 0, 1, 1000);
    loop.set(machine, 1, 1, 1000);
    await clock.advance(1500);
    loop.cancel(0);
    expect(writer.percents()[0]).toBe(0);
    await clock.advance(1000);
    expect(loop.query().map(({ vcpu }) => vcpu)).toEqual([1]);
    loop.cancel(undefined);
    const { flipCount } = machine;
    await clock.advance(5000);
    expect(machine.flipCount).toBe(flipCount);
    loop.set(machine, 0, 1, 1000);
    await clock.advance(1500);
    expect(machine.flipCount).toBe(flipCount + 2);
  });

  test('flips nothing while it is held, keeps its throttles, and goes on after that', async () => {
    const writer = new Writer();
    const { clock, loop, machine } = writer;
    loop.set(machine, 0, 1, 1000);
    await clock.advance(1500);
    await loop.hold();
    const { flipCount } = machine;
    const [percent] = writer.percents();
    await clock.advance(5000);
    loop.set(machine, 0, 2, 1000);
    await clock.advance(5000);
    expect(machine.flipCount).toBe(flipCount);
    expect(writer.percents()[0]).toBe(percent);
    loop.release();
    await clock.advance(1500);
    expect(machine.flipCount).toBe(flipCount + 2);
  });

  test('is held only when no flip of its own is under way', async () => {
    const { clock, loop, machine } = new Writer();
    const order: string[] = [];
    const flip = machine.flipDirtyLogs.bind(machine);
    machine.flipDirtyLogs = async () => {
      order.push('flip');
      await clock.sleep(5);
      await flip();
      order.push('flipped');
    };
    loop.set(machine, 0, 1, 1000);
    await clock.advance(1);
    const held = loop.hold().then(() => order.push('held'));
    await clock.advance(50);
    await held;
    expect(order).toEqual(['flip', 'flipped', 'held']);
  });

  test('takes nothing from a guest that stands still', async () => {
    const { clock, loop, machine } = new Writer();
    loop.set(machine, 0, 1, 1000);
    await clock.advance(1500);
    const before = machine.throttles.length;
    await machine.pause('operator');
    await clock.advance(3000);
    expect(machine.throttles.length).toBe(before);
  });

  test('ends with its guest', async () => {
    const { clock, loop, machine } = new Writer();
    machine.flipDirtyLogs = () =>
      Promise.reject(new SternaError('E_WORKER_DIED', 'vCPU 0 has ended'));
    loop.set(machine, 0, 1, 1000);
    await clock.advance(5000);
    await loop.hold();
    loop.clear();
    expect(loop.query()).toEqual([]);
  });
});
