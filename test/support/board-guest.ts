import type { BoardConfig } from '../../src/guest/riscv/board/index.ts';
import { BoardBench, MemoryDrive } from './riscv-board.ts';
import { BUFFERS, VirtioDriver, WRITE } from './virtio-driver.ts';

export const USED_CONFIG: BoardConfig = {
  hartCount: 1,
  ramBytes: 2 ** 20,
  slots: [
    { kind: 'rng' },
    { kind: 'blk', capacityBytes: 64 * 512, isReadOnly: false, serial: 'disk' },
  ],
  randomSeed: 5,
};

/** A bench for that board, or one that differs. */
export function usedBench(config: Partial<BoardConfig> = {}): BoardBench {
  const all = { ...USED_CONFIG, ...config };
  const drives = all.slots.flatMap((slot, index) =>
    slot.kind === 'blk'
      ? [[index, new MemoryDrive(slot.capacityBytes, slot.isReadOnly)] as const]
      : [],
  );
  return new BoardBench(all, new Map(drives));
}

/** A board in the middle of everything: queues, interrupts in each state, bytes on their way. */
export function busyBench(): BoardBench {
  const bench = usedBench();
  const { board } = bench;
  for (const line of [1, 2, 10]) bench.write32(0x0c00_0000 + line * 4, line % 7);
  bench.write32(0x0c00_2080, 0x406);
  bench.write32(0x0c20_1000, 1);
  for (const [register, value] of [
    [3, 0x1b],
    [2, 0x81],
    [1, 0x05],
    [4, 0x0b],
    [7, 0x77],
  ] as const) {
    board.mmioWrite(0x1000_0000 + register, 1, value);
  }
  const random = new VirtioDriver(bench, 0).start();
  random.setChain(0, [{ gpa: BUFFERS, length: 32, flags: WRITE }]);
  random.offer(0);
  board.poll();
  // Claimed and not completed; the UART's is pending, and so is a request.
  bench.read32(0x0c20_1004);
  bench.type('typed before the move, and more than a FIFO holds');
  random.offer(0);
  return bench;
}
