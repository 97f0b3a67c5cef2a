import { describe, expect, test } from 'vitest';
import { BoardBench } from '../../../../support/riscv-board.ts';

const RTC = 0x10_1000;
const [TIME_LOW, TIME_HIGH, ALARM_LOW, ALARM_HIGH] = [RTC, RTC + 4, RTC + 8, RTC + 12];
const [IRQ_ENABLED, CLEAR_ALARM, ALARM_STATUS, CLEAR_INTERRUPT] = [16, 20, 24, 28].map(
  (offset) => RTC + offset,
) as [number, number, number, number];
const PLIC = 0x0c00_0000;
const LINE = 11;
/** Machine mode of hart 0. */
const CLAIM = PLIC + 0x20_0004;
const MEIP = 1 << 11;
const SECOND_NS = 1_000_000_000n;

function clockBench(): BoardBench {
  const bench = new BoardBench();
  bench.write32(PLIC + LINE * 4, 1);
  bench.write32(PLIC + 0x2000, 1 << LINE);
  return bench;
}

const isInterrupted = ({ mips }: BoardBench) => ((mips[0] ?? 0) & MEIP) !== 0;

function time(bench: BoardBench): bigint {
  const low = bench.read32(TIME_LOW);
  return (BigInt(bench.read32(TIME_HIGH)) << 32n) | BigInt(low);
}

function write(bench: BoardBench, high: number, low: number, value: bigint): void {
  bench.write32(high, Number(value >> 32n));
  bench.write32(low, Number(value & 0xffff_ffffn));
}

const hostNs = ({ wallUs }: BoardBench) => BigInt(wallUs) * 1000n;

function elapse(bench: BoardBench, seconds: number): void {
  bench.wallUs += seconds * 1e6;
  bench.board.poll();
}

describe('the clock of the wall', () => {
  test('has the time of its host, in nanoseconds, of one moment', () => {
    const bench = clockBench();
    expect(time(bench)).toBe(hostNs(bench));
    const low = bench.read32(TIME_LOW);
    const before = hostNs(bench);
    // The upper half would change between the two reads.
    elapse(bench, 5);
    expect((BigInt(bench.read32(TIME_HIGH)) << 32n) | BigInt(low)).toBe(before);
    expect(time(bench)).toBe(before + 5n * SECOND_NS);
  });

  test.each([0n, 1n, 4_102_444_800n * SECOND_NS])('goes on from what it is set to (%i)', (set) => {
    const bench = clockBench();
    write(bench, TIME_HIGH, TIME_LOW, set);
    expect(time(bench)).toBe(set);
    elapse(bench, 60);
    expect(time(bench)).toBe(set + 60n * SECOND_NS);
  });

  test('interrupts at its alarm, once, until that is taken note of', () => {
    const bench = clockBench();
    bench.write32(IRQ_ENABLED, 1);
    const alarm = time(bench) + 3n * SECOND_NS;
    write(bench, ALARM_HIGH, ALARM_LOW, alarm);
    expect([bench.read32(ALARM_STATUS), bench.board.alarmInMs]).toEqual([1, 3000]);
    expect((BigInt(bench.read32(ALARM_HIGH)) << 32n) | BigInt(bench.read32(ALARM_LOW))).toBe(alarm);
    elapse(bench, 2.999);
    expect(isInterrupted(bench)).toBe(false);
    elapse(bench, 0.001);
    expect([isInterrupted(bench), bench.read32(ALARM_STATUS)]).toEqual([true, 0]);
    expect(bench.board.alarmInMs).toBe(Number.POSITIVE_INFINITY);
    expect(bench.read32(CLAIM)).toBe(LINE);
    bench.write32(CLEAR_INTERRUPT, 1);
    bench.write32(CLAIM, LINE);
    elapse(bench, 10);
    expect(isInterrupted(bench)).toBe(false);
  });

  test('an alarm that is over interrupts at once, and one that was cleared never', () => {
    const bench = clockBench();
    bench.write32(IRQ_ENABLED, 1);
    write(bench, ALARM_HIGH, ALARM_LOW, time(bench) + SECOND_NS);
    bench.write32(CLEAR_ALARM, 1);
    elapse(bench, 2);
    expect([isInterrupted(bench), bench.read32(ALARM_STATUS)]).toEqual([false, 0]);
    write(bench, ALARM_HIGH, ALARM_LOW, time(bench));
    expect(isInterrupted(bench)).toBe(true);
  });

  test('an alarm is heard when interrupts are enabled, also later', () => {
    const bench = clockBench();
    write(bench, ALARM_HIGH, ALARM_LOW, time(bench) + SECOND_NS);
    elapse(bench, 1);
    expect(isInterrupted(bench)).toBe(false);
    bench.write32(IRQ_ENABLED, 1);
    expect(isInterrupted(bench)).toBe(true);
    bench.write32(IRQ_ENABLED, 0);
    expect(bench.read32(IRQ_ENABLED)).toBe(0);
  });

  test('a clock that is set beyond its alarm is at it', () => {
    const bench = clockBench();
    bench.write32(IRQ_ENABLED, 1);
    const now = time(bench);
    write(bench, ALARM_HIGH, ALARM_LOW, now + 100n * SECOND_NS);
    write(bench, TIME_HIGH, TIME_LOW, now + 100n * SECOND_NS);
    expect(isInterrupted(bench)).toBe(true);
  });

  test('is right on another host, with its alarm, and as far off as the guest set it', () => {
    const from = clockBench();
    from.write32(IRQ_ENABLED, 1);
    const set = 946_684_800n * SECOND_NS;
    write(from, TIME_HIGH, TIME_LOW, set);
    write(from, ALARM_HIGH, ALARM_LOW, set + 10n * SECOND_NS);
    const to = clockBench();
    to.wallUs = from.wallUs + 7e6;
    to.board.load(from.board.save());
    expect(time(to)).toBe(set + 7n * SECOND_NS);
    expect(to.board.alarmInMs).toBe(3000);
    elapse(to, 3);
    expect(isInterrupted(to)).toBe(true);
    const third = clockBench();
    third.board.load(to.board.save());
    expect(isInterrupted(third)).toBe(true);
  });

  test('is reached by words only, and what is no register reads zero', () => {
    const bench = clockBench();
    expect(bench.board.mmioRead(TIME_LOW, 2)).toBe(0);
    bench.board.mmioWrite(IRQ_ENABLED, 2, 1);
    expect(bench.read32(IRQ_ENABLED)).toBe(0);
    expect([bench.read32(CLEAR_ALARM), bench.read32(RTC + 0x40)]).toEqual([0, 0]);
    expect(bench.board.mmioExists(RTC + 0xffc, 4)).toBe(true);
    expect(bench.board.mmioExists(RTC + 0x1000, 4)).toBe(false);
  });
});
