import { describe, expect, test } from 'vitest';
import { AssertionError } from '../../../../../src/base/index.ts';
import {
  Board,
  BoardBlock,
  checkBoardConfig,
  SerialRing,
} from '../../../../../src/guest/riscv/board/index.ts';
import { BoardBench, FakeGuestRam, MemoryDrive } from '../../../../support/riscv-board.ts';

const FINISHER = 0x10_0000;
const blk = (capacityBytes: number, isReadOnly = false) =>
  ({ kind: 'blk', capacityBytes, isReadOnly, serial: '' }) as const;

describe('Board', () => {
  test('accesses exist where devices are, in sizes that are aligned', () => {
    const { board } = new BoardBench();
    for (const [address, bytes, exists] of [
      [0x10_0000, 4, true],
      [0x10_0ffc, 4, true],
      [0x10_0fff, 1, true],
      [0x10_1000, 4, true],
      [0x10_2000, 4, false],
      [0x0c00_0000, 4, true],
      [0x0fff_fffc, 4, true],
      [0x0bff_fffc, 4, false],
      [0x1000_0000, 1, true],
      [0x1000_00ff, 1, true],
      [0x1000_0100, 1, false],
      [0x1000_1000, 4, true],
      [0x1000_8ffe, 2, true],
      [0x1000_9000, 4, false],
      [0x1000_1002, 4, false],
      [0x1000_1001, 2, false],
      [0x1000_1000, 8, false],
      [0x1000_1000, 3, false],
      [0x1000_1000, 0, false],
      [0x8000_0000, 4, false],
      [-4, 4, false],
      [0, 4, false],
    ] as const) {
      expect(board.mmioExists(address, bytes), `${address.toString(16)} ${bytes}`).toBe(exists);
      if (!exists) {
        expect(board.mmioRead(address, bytes)).toBe(0);
        board.mmioWrite(address, bytes, 0xffff_ffff);
      }
    }
  });

  test.each([
    [0x5555, 4, { kind: 'power-off' }],
    [0x7777, 2, { kind: 'reset' }],
    [0x1234_3333, 4, { kind: 'fail', exitCode: 0x1234 }],
    [0xffff_3333 | 0, 4, { kind: 'fail', exitCode: 0xffff }],
  ])('the finisher takes %x in %i bytes', (value, bytes, event) => {
    const { board, events } = new BoardBench();
    board.mmioWrite(FINISHER, bytes, value);
    board.mmioWrite(FINISHER, 4, 0x5555);
    expect(events).toEqual([event]);
    expect(board.event).toEqual(event);
    expect(board.mmioRead(FINISHER, 4)).toBe(0);
    board.reset();
    expect(board.event).toBeUndefined();
  });

  test('the finisher ignores what it does not know', () => {
    const { board, events } = new BoardBench();
    for (const [offset, bytes, value] of [
      [0, 4, 0x1111],
      [4, 4, 0x5555],
      [0, 1, 0x55],
    ] as const) {
      board.mmioWrite(FINISHER + offset, bytes, value);
    }
    expect(events).toEqual([]);
  });

  test('input interrupts the hart through the PLIC, and a read ends it', () => {
    const bench = new BoardBench();
    bench.write32(0x0c00_0000 + 10 * 4, 1);
    bench.write32(0x0c00_2080, 1 << 10);
    bench.board.mmioWrite(0x1000_0001, 1, 1);
    expect(bench.mips[0]).toBe(0);
    bench.type('a');
    expect(bench.mips[0]).toBe(1 << 9);
    expect(bench.woken).toEqual([0]);
    expect(bench.read32(0x0c20_1004)).toBe(10);
    expect(bench.board.mmioRead(0x1000_0000, 1)).toBe(0x61);
    bench.write32(0x0c20_1004, 10);
    expect(bench.mips[0]).toBe(0);
  });

  test('two boards over one block are one board', () => {
    const bench = new BoardBench(
      { hartCount: 2, slots: [blk(512)] },
      new Map([[0, new MemoryDrive(512)]]),
    );
    const other = new Board({
      config: bench.config,
      block: new BoardBlock(bench.block.shared),
      input: new SerialRing(bench.input.shared),
      output: new SerialRing(bench.output.shared),
      ram: bench.ram,
      drives: new Map(),
      mips: [0, 1].map((index) => ({ words: bench.mips, index })),
      wake: () => {},
      onEvent: () => {},
      wallClock: () => 0,
    });
    other.mmioWrite(0x1000_0000, 1, 0x58);
    expect(bench.printed()).toBe('X');
    bench.write32(0x1000_1070, 1);
    expect(other.mmioRead(0x1000_1070, 4)).toBe(1);
    expect(other.mmioRead(0x1000_1100, 4)).toBe(1);
    other.mmioWrite(FINISHER, 4, 0x7777);
    expect(bench.board.event).toEqual({ kind: 'reset' });
  });

  test('a callback that enters the board is a defect that shows at once', () => {
    const bench = new BoardBench();
    const board: Board = new Board({
      config: bench.config,
      block: bench.block,
      input: bench.input,
      output: bench.output,
      ram: new FakeGuestRam(4096),
      drives: new Map(),
      mips: [{ words: bench.mips, index: 0 }],
      wake: () => {},
      onEvent: () => board.poll(),
      wallClock: () => 0,
    });
    expect(() => board.mmioWrite(FINISHER, 4, 0x5555)).toThrow(AssertionError);
    bench.board.poll();
  });

  test.each([
    ['no harts', { hartCount: 0 }],
    ['too many harts', { hartCount: 9 }],
    ['no RAM', { ramBytes: 0 }],
    ['half a page of RAM', { ramBytes: 2 ** 20 + 2048 }],
    ['more than 2 GiB', { ramBytes: 2 ** 31 + 4096 }],
    ['too many devices', { slots: Array(9).fill({ kind: 'rng' }) }],
  ])('a board with %s cannot be built', (_, part) => {
    const config = { hartCount: 1, ramBytes: 2 ** 20, slots: [], ...part };
    expect(() => checkBoardConfig(config)).toThrow(
      expect.objectContaining({ code: 'E_CONFIG_INVALID' }),
    );
  });

  test('a drive that is not what the guest has is refused', () => {
    for (const drive of [new MemoryDrive(1024), new MemoryDrive(512, true)]) {
      expect(() => new BoardBench({ slots: [blk(512)] }, new Map([[0, drive]]))).toThrow(
        expect.objectContaining({
          code: 'E_CONFIG_INVALID',
          message: expect.stringContaining('slot 0'),
        }),
      );
    }
  });
});
