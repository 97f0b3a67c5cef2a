import { describe, expect, test } from 'vitest';
import { PAGE_BYTES, SimClock, silentLogger } from '../../../../src/base/index.ts';
import { DirtyLimitLoop } from '../../../../src/control/dirty-limit/dirty-limit-loop.ts';
import type {
  DirtyRate,
  DirtyRateRequest,
} from '../../../../src/control/observation/dirty-rate.ts';
import { LogTurns } from '../../../../src/control/observation/log-turns.ts';
import { Observer } from '../../../../src/control/observation/observer.ts';
import { FakeMachine } from '../../../support/fake-machine.ts';

const REQUEST: DirtyRateRequest = {
  ...{ kind: 'dirty-rate', mode: 'dirty-bitmap' },
  ...{ calcTimeMs: 1000, samplePages: 512 },
};
const PERIOD_MS = 100;
const MB = 2 ** 20;

/** Who reads the logs, and a guest of two vCPUs that writes 10 other pages every 10 ms. */
class Stage {
  readonly clock = new SimClock();
  readonly machine = new FakeMachine(this.clock);
  readonly limits = new DirtyLimitLoop(this.clock, silentLogger());
  readonly turns = new LogTurns(this.limits, new Observer(this.clock));
  /** Flips that are under way; more than one would read the same map. */
  private flipping = 0;
  overlaps = 0;
  written = 0;

  constructor(flipMs = 0) {
    const flip = this.machine.flipDirtyLogs.bind(this.machine);
    this.machine.flipDirtyLogs = async () => {
      this.flipping += 1;
      if (this.flipping > 1) this.overlaps += 1;
      if (flipMs > 0) await this.clock.sleep(flipMs);
      await flip();
      this.flipping -= 1;
    };
  }

  limit(): void {
    this.limits.set(this.machine, undefined, 1000, PERIOD_MS);
  }

  async runs(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 10) {
      for (let page = 0; page < 10; page += 1) {
        this.machine.write(1, this.written % 3000, 0, Uint8Array.of(1));
        this.written += 1;
      }
      await this.clock.advance(10);
    }
  }

  /** MB/s that the limits saw of both vCPUs in the last period. */
  get limitedRate(): number {
    return this.limits.query().reduce((sum, limit) => sum + limit.currentMegabytesPerSecond, 0);
  }

  observe(): Promise<DirtyRate> {
    // The request is one for a dirty rate.
    return this.turns.observe(this.machine, REQUEST) as Promise<DirtyRate>;
  }
}

/** 1000 pages a second. */
const RATE = 1000 * PAGE_BYTES;

describe('LogTurns', () => {
  test.each([0, 3])(
    'an observation misses no page because of dirty limits, and those none after it (flips of %i ms)',
    async (flipMs) => {
      const stage = new Stage(flipMs);
      stage.limit();
      await stage.runs(500);
      expect(stage.limitedRate).toBeGreaterThan((RATE / MB) * 0.85);
      const observed = stage.observe();
      await stage.runs(1200);
      const { bytesPerSecond, vcpuBytesPerSecond } = await observed;
      expect(bytesPerSecond / RATE).toBeCloseTo(1, 1);
      expect((vcpuBytesPerSecond ?? []).reduce((sum, rate) => sum + rate, 0)).toBe(bytesPerSecond);
      await stage.runs(500);
      expect(stage.limitedRate / (RATE / MB)).toBeCloseTo(1, 0);
      expect(stage.overlaps).toBe(0);
    },
  );

  test('a second observation is refused, and does not let the limits go on meanwhile', async () => {
    const stage = new Stage(3);
    stage.limit();
    await stage.runs(200);
    const first = stage.observe();
    await expect(stage.observe()).rejects.toMatchObject({ code: 'E_STATE' });
    await stage.runs(200);
    const { flipCount } = stage.machine;
    await stage.runs(500);
    expect(stage.machine.flipCount).toBe(flipCount);
    await stage.runs(500);
    expect((await first).bytesPerSecond / RATE).toBeCloseTo(1, 1);
    expect(stage.overlaps).toBe(0);
  });

  test('a migration ends an observation, and nobody flips until it is over', async () => {
    const stage = new Stage(3);
    stage.limit();
    const observed = stage.observe();
    await stage.runs(300);
    const begun = stage.turns.beginMigration();
    await stage.runs(50);
    await begun;
    expect((await observed).measuredMs).toBeLessThan(400);
    const { flipCount } = stage.machine;
    await expect(stage.observe()).rejects.toMatchObject({ code: 'E_STATE' });
    await stage.runs(500);
    expect(stage.machine.flipCount).toBe(flipCount);
    stage.turns.endMigration(false);
    await stage.runs(500);
    expect(stage.machine.flipCount).toBeGreaterThan(flipCount);
    expect(stage.limitedRate).toBeGreaterThan(0);
    expect(stage.overlaps).toBe(0);
  });

  test('one that begins while an observation waits for its turn is not disturbed by it', async () => {
    const stage = new Stage(30);
    stage.limit();
    // The limits have a flip under way, for which the observation waits.
    await stage.clock.advance(5);
    const observed = stage.observe();
    const refused = expect(observed).rejects.toMatchObject({ code: 'E_STATE' });
    const begun = stage.turns.beginMigration();
    await stage.runs(100);
    await begun;
    await refused;
    const { flipCount } = stage.machine;
    await stage.runs(500);
    expect(stage.machine.flipCount).toBe(flipCount);
  });

  test('after two attempts that overlap the limits go on, and with the guest they end', async () => {
    const stage = new Stage();
    stage.limit();
    await stage.turns.beginMigration();
    await stage.turns.beginMigration();
    stage.turns.endMigration(false);
    const { flipCount } = stage.machine;
    await stage.runs(300);
    expect(stage.machine.flipCount).toBe(flipCount);
    stage.turns.endMigration(false);
    await stage.runs(300);
    expect(stage.machine.flipCount).toBeGreaterThan(flipCount);
    await stage.turns.beginMigration();
    stage.turns.endMigration(true);
    expect(stage.limits.query()).toEqual([]);
  });
});
