import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../../../../src/base/index.ts';
import { SECTION_NAMES } from '../../../../../../src/guest/riscv/board/index.ts';
import type { MachineStateSection } from '../../../../../../src/guestmem/index.ts';
import { busyBench, USED_CONFIG, usedBench } from '../../../../../support/board-guest.ts';
import type { BoardBench } from '../../../../../support/riscv-board.ts';
import { VirtioDriver } from '../../../../../support/virtio-driver.ts';

type SectionName = (typeof SECTION_NAMES)[number];

function sectionOf(
  sections: readonly MachineStateSection[],
  name: SectionName,
): MachineStateSection {
  const section = sections.find((candidate) => candidate.name === name);
  if (section === undefined) throw new Error(`No section ${name}`);
  return section;
}

/** The state with other words in one section, and a checksum that is right. */
function changed(
  sections: readonly MachineStateSection[],
  name: SectionName,
  words: readonly (readonly [index: number, value: number])[],
): MachineStateSection[] {
  const { bytes, ...rest } = sectionOf(sections, name);
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (const [index, value] of words) view.setUint32(index * 4, value, true);
  const content = copy.subarray(0, copy.length - 4);
  view.setUint32(content.length, crc32c(content), true);
  return sections.map((section) => (section.name === name ? { ...rest, bytes: copy } : section));
}

/** The load is refused, and nothing has changed. */
function expectRefused(bench: BoardBench, state: readonly MachineStateSection[], message: RegExp) {
  const before = bench.block.bytes.slice();
  expect(() => bench.board.load(state)).toThrow(
    expect.objectContaining({
      code: 'E_MACHINE_STATE',
      message: expect.stringMatching(message),
    }),
  );
  expect(Buffer.compare(bench.block.bytes, before)).toBe(0);
}

describe('Board.save() and load()', () => {
  test('a board goes on where it was', () => {
    const from = busyBench();
    const saved = from.board.save();
    expect(saved.map(({ name }) => name)).toEqual([...SECTION_NAMES]);
    expect(saved.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(4096);
    const to = usedBench();
    to.ram.bytes.set(from.ram.bytes);
    to.board.load(saved);
    expect(to.mips).toEqual(from.mips);
    expect(to.board.hasPendingWork).toBe(true);
    for (const bench of [from, to]) {
      bench.board.poll();
      bench.write32(0x0c20_1004, 1);
    }
    expect(Buffer.compare(to.ram.bytes, from.ram.bytes)).toBe(0);
    const text = (bench: BoardBench) => {
      let read = '';
      while ((bench.board.mmioRead(0x1000_0005, 1) & 1) !== 0) {
        read += String.fromCharCode(bench.board.mmioRead(0x1000_0000, 1));
      }
      return read;
    };
    expect(text(to)).toBe('typed before the move, and more than a FIFO holds');
    expect(text(from)).toBe('typed before the move, and more than a FIFO holds');
    expect(to.board.save()).toEqual(from.board.save());
    expect(new VirtioDriver(to, 0).read(0x60)).toBe(1);
  });

  test('save() changes nothing, and what was loaded is saved again', () => {
    const bench = busyBench();
    const saved = bench.board.save();
    expect(bench.board.save()).toEqual(saved);
    const other = usedBench();
    other.board.load(saved);
    expect(other.board.save()).toEqual(saved);
  });

  test('load() takes the place of whatever was there, and keeps sections of others apart', () => {
    const bench = busyBench();
    const fresh = usedBench().board.save();
    bench.input.pull(1024);
    bench.board.load([{ name: 'vcpu', version: 7, bytes: new Uint8Array(9) }, ...fresh]);
    expect(bench.board.save()).toEqual(fresh);
    expect(bench.mips[0]).toBe(0);
  });

  test('input that does not fit is told as lost', () => {
    const bench = usedBench();
    for (let index = 0; index < 4; index += 1) {
      const filler = usedBench();
      filler.board.load(bench.board.save());
      filler.input.push(Buffer.alloc(1000, 0x30 + index));
      bench.board.load(filler.board.save());
    }
    expect(bench.board.mmioRead(0x1000_0005, 1) & 3).toBe(3);
    let text = '';
    while ((bench.board.mmioRead(0x1000_0005, 1) & 1) !== 0) {
      text += String.fromCharCode(bench.board.mmioRead(0x1000_0000, 1));
    }
    expect(text.length).toBe(3072);
    expect(text.at(-1)).toBe('3');
  });

  test('an event crosses', () => {
    const bench = usedBench();
    bench.write32(0x10_0000, 0x0007_3333);
    const other = usedBench();
    other.board.load(bench.board.save());
    expect(other.board.event).toEqual({ kind: 'fail', exitCode: 7 });
  });

  test.each([
    ['harts', { hartCount: 2 }, /it has "harts: 1", this one "harts: 2"/],
    ['RAM', { ramBytes: 2 ** 21 }, /"RAM: 1048576 bytes", this one "RAM: 2097152 bytes"/],
    ['no device', { slots: [] }, /it has "device 0: rng", this one nothing/],
    [
      'a device more',
      { slots: [...USED_CONFIG.slots, { kind: 'rng' }] as const },
      /it has nothing, this one "device 2: rng"/,
    ],
    [
      'another disk',
      {
        slots: [
          { kind: 'rng' },
          { kind: 'blk', capacityBytes: 512, isReadOnly: true, serial: '' },
        ] as const,
      },
      /"device 1: blk of 32768 bytes, writable, .*", this one "device 1: blk of 512 bytes, read-only/,
    ],
  ])('the state of a board with other %s is refused by name', (_, config, message) => {
    expectRefused(usedBench(config), busyBench().board.save(), message);
  });

  test('a board with other randomness is refused by name', () => {
    const { randomSeed: _, ...config } = USED_CONFIG;
    const bench = usedBench();
    const other = usedBench({ ...config, randomSeed: undefined } as never);
    expectRefused(
      other,
      bench.board.save(),
      /"randomness: from a seed", this one "randomness: the/,
    );
  });
});

describe('a damaged state', () => {
  const state = busyBench().board.save();
  const bench = busyBench();

  test.each([...SECTION_NAMES])(
    'is refused when %s is missing, doubled, cut or of another version',
    (name) => {
      const section = sectionOf(state, name);
      const others = state.filter((other) => other.name !== name);
      const having = (part: Partial<MachineStateSection>) => [...others, { ...section, ...part }];
      expectRefused(bench, others, new RegExp(`Section ${name} is missing`));
      expectRefused(bench, [...state, section], new RegExp(`Section ${name} comes twice`));
      expectRefused(
        bench,
        having({ version: 2 }),
        new RegExp(`Section ${name} has version 2, not 1`),
      );
      for (const length of [0, 3, section.bytes.length - 1]) {
        const cut = having({ bytes: section.bytes.slice(0, length) });
        expectRefused(bench, cut, new RegExp(`Section ${name} is (cut short|damaged)`));
      }
    },
  );

  test.each([...SECTION_NAMES])('is refused when any bit of %s is wrong', (name) => {
    const section = sectionOf(state, name);
    for (let byte = 0; byte < section.bytes.length; byte += 1) {
      const bytes = section.bytes.slice();
      bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (byte % 8));
      const wrong = state.map((other) => (other.name === name ? { ...other, bytes } : other));
      expectRefused(bench, wrong, new RegExp(`Section ${name} is damaged`));
    }
  });

  /** Words of a slot begin at slot * 64; a queue's at 16 in them. */
  const QUEUE = 16;
  test.each([
    ['board', [[0, 4]], /impossible event/],
    ['board', [[1, 3]], /impossible event/],
    [
      'board',
      [
        [0, 3],
        [1, 0x1_0000],
      ],
      /impossible event/,
    ],
    ['board', [[2, 2]], /a request to a queue that does not exist/],
    ['board', [[2, 0x8000_0000]], /a request to a queue that does not exist/],
    ['board', [3, 4, 5, 6].map((word) => [word, 0]), /impossible random state/],
    ['board-uart', [[0, 0x10]], /impossible register 0/],
    ['board-uart', [[1, 0x02]], /impossible register 1/],
    ['board-uart', [[1, 0x80]], /a FIFO that is off and set up/],
    ['board-uart', [[3, 0x20]], /impossible register 3/],
    ['board-uart', [[6, 0x1_0000]], /impossible register 6/],
    ['board-uart', [[7, 2]], /impossible register 7/],
    ['board-uart', [[9, 17]], /a FIFO that holds more than it can/],
    ['board-uart', [[1, 0]], /a FIFO that holds more than it can/],
    ['board-uart', [[10, 0xffff_ffff]], /a FIFO that holds more than it can/],
    ['board-uart', [[11, 3]], /a backlog of another length/],
    ['board-uart', [[12, 1]], /reserved/],
    ['board-uart', [[31, 1]], /reserved/],
    ['board-uart', [[9, 0]], /board-plic has levels that the devices do not have/],
    ['board-plic', [[0, 1]], /reserved/],
    ['board-rtc', [[6, 2]], /a flag that is neither on nor off/],
    ['board-rtc', [[9, 1]], /reserved/],
    [
      'board-rtc',
      [
        [7, 1],
        [8, 1],
      ],
      /board-plic has levels that the devices do not have/,
    ],
    ['board-plic', [[5, 8]], /impossible priority/],
    ['board-plic', [[32, 1]], /a line that no device has/],
    ['board-plic', [[32, 8]], /a line that no device has/],
    ['board-plic', [[33, 0x402]], /pending and in service/],
    ['board-plic', [[34, 0]], /levels that the devices do not have/],
    [
      'board-plic',
      [
        [32, 0],
        [33, 0x2],
      ],
      /high and was not forwarded/,
    ],
    ['board-plic', [[49, 1]], /an interrupt of line 0/],
    ['board-plic', [[50, 2]], /reserved/],
    ['board-plic', [[64, 8]], /impossible priority/],
    ['board-plic', [[66, 1]], /reserved/],
    ['board-plic', [[127, 1]], /reserved/],
    ['board-virtio', [[0, 0x100]], /device 0 with an impossible status/],
    ['board-virtio', [[6, 4]], /an impossible interrupt status/],
    ['board-virtio', [[4, 0]], /features that the device does not have/],
    ['board-virtio', [[3, 1]], /features that the device does not have/],
    ['board-virtio', [[8, 1]], /reserved/],
    ['board-virtio', [[QUEUE, 0]], /device 0 with a queue 0 that is ready and cannot be used/],
    ['board-virtio', [[QUEUE, 7]], /cannot be used/],
    ['board-virtio', [[QUEUE, 256]], /cannot be used/],
    ['board-virtio', [[QUEUE + 1, 2]], /impossible state of queue 0/],
    ['board-virtio', [[QUEUE + 2, 0x8000_1001]], /cannot be used/],
    ['board-virtio', [[QUEUE + 2, 0x7000_0000]], /cannot be used/],
    ['board-virtio', [[QUEUE + 5, 1]], /cannot be used/],
    ['board-virtio', [[QUEUE + 6, 0x800f_fffc]], /cannot be used/],
    ['board-virtio', [[QUEUE + 8, 0x1_0000]], /impossible index of queue 0/],
    ['board-virtio', [[QUEUE + 9, 0x1_0000]], /impossible index of queue 0/],
    ['board-virtio', [[QUEUE + 10, 1]], /reserved/],
    ['board-virtio', [[QUEUE + 12 + 1, 1]], /a queue 1 that is ready/],
    ['board-virtio', [[64 + 3, 0x1000]], undefined],
    [
      'board-virtio',
      [
        [64 + 0, 8],
        [64 + 3, 0x1000],
      ],
      /device 1 with features/,
    ],
  ] as [SectionName, [number, number][], RegExp | undefined][])(
    'with a right checksum, %s %j is refused',
    (name, words, message) => {
      const hostile = changed(state, name, words);
      if (message !== undefined) expectRefused(bench, hostile, message);
      else expect(() => usedBench().board.load(hostile)).not.toThrow();
    },
  );

  test('a configuration without end or beyond all bounds is refused', () => {
    const replaced = (text: string) => {
      const content = Buffer.from(text);
      const crc = Buffer.alloc(4);
      crc.writeUInt32LE(crc32c(content));
      const bytes = Buffer.concat([content, crc]);
      return state.map((other) => (other.name === 'board-config' ? { ...other, bytes } : other));
    };
    expectRefused(bench, replaced('harts: 1'), /no end/);
    expectRefused(bench, replaced('x'.repeat(5000)), /too long/);
    expectRefused(bench, replaced(`${'\u0000"'.repeat(1000)}\n`), /another board/);
  });

  test('a UART longer than any backlog is refused', () => {
    const content = Buffer.alloc(128 + 3073);
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(crc32c(content));
    const bytes = Buffer.concat([content, crc]);
    const wrong = state.map((other) => (other.name === 'board-uart' ? { ...other, bytes } : other));
    expectRefused(bench, wrong, /board-uart has an impossible length of 3201 bytes/);
  });
});
