import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../../../src/base/index.ts';
import { instantiatePrograms, strictMmuHost } from '../../../../src/guest/index.ts';
import {
  buildScript,
  SCRIPT_HEAD_WORDS,
  SCRIPT_VCPU_WORDS,
  scriptCrc,
} from '../../../../src/guest/trace/replay-script.ts';
import { traceRanges } from '../../../../src/guest/trace/trace-check.ts';
import { TraceReplay } from '../../../../src/guest/trace/trace-replay.ts';
import { dirtyMapAddress, GuestMemory, type Trace } from '../../../../src/guestmem/index.ts';
import { SMALL_TRACE } from '../../guestmem/trace/traces.ts';

/** Two blocks, as SMALL_TRACE has them, and the script behind them. */
const RAM_PAGES = 49;
const SCRIPT_PAGES = 4;

/** Sets of pages that cross blocks and vCPUs, jump, and are empty. */
const SETS = [[0, 1, 2, 3, 17, 48], [], [39, 40, 41], [5], [24, 25, 26], [5, 48]];
const TRACE: Trace = {
  ...SMALL_TRACE,
  intervals: SETS.map((pages, index) => ({
    spanMs: 10 + index,
    busyShare: 1,
    pages: Uint32Array.from(pages),
    changes: SMALL_TRACE.intervals[1]?.changes ?? [],
  })),
};
const TURN_MS = 10 + 11 + 12 + 13 + 14 + 15;

function guestOf(vcpuCount: number, damage: (script: Uint32Array) => void = () => {}) {
  const memory = GuestMemory.allocate(
    [
      { name: 'ram0', bytes: 40 * PAGE_BYTES },
      { name: 'ram1', bytes: 9 * PAGE_BYTES },
      { name: 'trace', bytes: SCRIPT_PAGES * PAGE_BYTES },
    ],
    vcpuCount,
  );
  const script = buildScript(TRACE, vcpuCount, RAM_PAGES);
  damage(script);
  const bytes = new Uint8Array(script.buffer);
  memory.blocks[2]?.ram.set(bytes);
  const clock = { ms: 0, nowMs: () => clock.ms };
  const spec = { kind: 'trace', file: '', pages: RAM_PAGES, scriptBytes: bytes.length } as const;
  const vcpus = Array.from({ length: vcpuCount }, (_, vcpu) => {
    const programs = instantiatePrograms(memory, 1, strictMmuHost());
    for (const [index, { layout }] of memory.blocks.entries()) {
      programs[index]?.mmuSelectMap(dirtyMapAddress(layout, vcpu, 0));
    }
    const own = { writes: 0, nextPfn: 0, random: 1 };
    const first = Math.floor((RAM_PAGES * vcpu) / vcpuCount);
    const hot = { first, count: Math.floor((RAM_PAGES * (vcpu + 1)) / vcpuCount) - first };
    const parts = { vcpu, memory, programs, own, hot, spec, guestClock: clock };
    return { own, replay: new TraceReplay(parts) };
  });
  /** Pages that were marked since the last call, and no mark is left. */
  const takeMarks = () => {
    const pages = new Set<number>();
    for (const { bytes: ram, layout } of memory.blocks) {
      for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
        const map = dirtyMapAddress(layout, vcpu, 0);
        for (let pfn = 0; pfn < layout.pageCount; pfn += 1) {
          if (ram[map + pfn] === 1) pages.add(layout.firstPfn + pfn);
          ram[map + pfn] = 0;
        }
      }
    }
    return [...pages].sort((first, second) => first - second);
  };
  return { memory, clock, vcpus, takeMarks, scriptBytes: bytes.length };
}

describe.each([1, 2, 3])('a trace replayed by %i vCPUs', (vcpuCount) => {
  test('dirties the same pages in the same intervals, turn after turn', () => {
    const { clock, vcpus, takeMarks } = guestOf(vcpuCount);
    for (let turn = 0; turn < 3; turn += 1) {
      let atMs = turn * TURN_MS;
      for (const [index, pages] of SETS.entries()) {
        atMs += 10 + index;
        // Just before the next interval begins.
        clock.ms = atMs - 1e-6;
        for (const { replay } of vcpus) {
          while (replay.due() > 0) replay.runPages(1 + (index % 2));
        }
        clock.ms = atMs;
        for (const { replay } of vcpus) replay.runPages(replay.due());
        expect(takeMarks()).toEqual(pages);
      }
    }
  });

  test('writes them evenly, and no more than is due', () => {
    const { clock, vcpus } = guestOf(vcpuCount);
    let before = 0;
    for (clock.ms = 0; clock.ms < 2 * TURN_MS; clock.ms += 0.5) {
      for (const { replay } of vcpus) replay.runPages(replay.due());
      const writes = vcpus.reduce((sum, { own }) => sum + own.writes, 0);
      expect(writes).toBeGreaterThanOrEqual(before);
      before = writes;
    }
    expect(before).toBeGreaterThan(SETS.flat().length);
  });
});

test('the script says of each page how it changes', () => {
  const { memory, scriptBytes } = guestOf(2);
  const ranges = traceRanges(memory, RAM_PAGES, scriptBytes) ?? [];
  expect(ranges.reduce((pages, { count }) => pages + count, 0)).toBe(RAM_PAGES);
  const written = ranges.filter(({ words }) => words > 0);
  // 32 bytes of 60: eight words far apart.
  expect(written.every(({ words, stepBytes }) => words === 8 && stepBytes === 512)).toBe(true);
  const pages = written.flatMap(({ first, count }) =>
    Array.from({ length: count }, (_, index) => first + index),
  );
  expect(pages).toEqual([...new Set(SETS.flat())].sort((first, second) => first - second));
});

test('a script that is damaged is found by the check', () => {
  const { memory, scriptBytes } = guestOf(1, (script) => {
    script[script.length - 1] = (script.at(-1) as number) ^ 1;
  });
  expect(traceRanges(memory, RAM_PAGES, scriptBytes)).toBeUndefined();
});

/** What a peer may send: its checksum fits. */
const hostile = (change: (script: Uint32Array, run: number) => void) => (script: Uint32Array) => {
  change(script, script[SCRIPT_HEAD_WORDS + 1] as number);
  script[1] = scriptCrc(script);
};

test.each([
  ['a page of nobody', hostile((script, run) => script.fill(RAM_PAGES, run, run + 1))],
  ['no pages', hostile((script, run) => script.fill(0, run + 1, run + 2))],
  ['words beyond the page', hostile((script, run) => script.fill(0x1000_0008, run + 2, run + 3))],
  ['words that are none', hostile((script, run) => script.fill(0x0003_0001, run + 2, run + 3))],
])('a run with %s ends the vCPU, and writes nothing', (_what, damage) => {
  const { clock, vcpus, takeMarks } = guestOf(1, damage);
  clock.ms = TURN_MS - 1;
  expect(() => vcpus[0]?.replay.runPages(10)).toThrow('impossible run');
  expect(takeMarks()).toEqual([]);
});

test('a script that leads out of RAM ends the vCPU', () => {
  const head = SCRIPT_HEAD_WORDS + SCRIPT_VCPU_WORDS - 2;
  const { clock, vcpus } = guestOf(1, (script) => {
    script[head] = 0xffff_0000;
  });
  clock.ms = 5;
  expect(() => vcpus[0]?.replay.runPages(1)).toThrow('leads out of RAM');
});
