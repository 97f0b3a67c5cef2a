import { PAGE_BYTES, Random, SimClock } from '../../src/base/index.ts';
import type { Half } from '../../src/control/half-image/half-writer.ts';
import type { GuestMemory } from '../../src/guestmem/index.ts';
import { encodeMachineState } from '../../src/protocol/index.ts';
import { FAKE_DESCRIPTION, FakeMachine } from './fake-machine.ts';

/** A guest with noise in its first pages of each block, and what a half of it may be. */
export interface HalfGuest {
  readonly machine: FakeMachine;
  readonly memory: GuestMemory;
  /** Block -> pages. */
  half(side: 'source' | 'destination', pages: readonly (readonly number[])[]): Half;
}

export const HALF_SECRET = '00112233445566778899aabbccddeeff';

export function halfGuest(noisePages = 200): HalfGuest {
  const machine = new FakeMachine(new SimClock());
  const { memory } = machine;
  const random = new Random(7);
  for (const { ram } of memory.blocks) {
    const end = Math.min(ram.length, noisePages * PAGE_BYTES);
    for (let at = 0; at < end; at += 4) ram.writeUInt32LE(random.uint32(), at);
  }
  const half = (side: 'source' | 'destination', pages: readonly (readonly number[])[]): Half => ({
    head: {
      side,
      migrationId: 'migration-1',
      epoch: 2,
      machine: FAKE_DESCRIPTION,
      ...(side === 'source' ? { secret: HALF_SECRET } : {}),
      peer: side === 'source' ? 'tcp:127.0.0.1:4444' : '',
      timeMs: 1_700_000_000_000,
    },
    memory,
    bitmaps: memory.blocks.map((block, index) =>
      bitmapOf(block.layout.pageCount, pages[index] ?? []),
    ),
    state:
      side === 'source'
        ? new Uint8Array(0)
        : encodeMachineState({
            sections: [{ name: 'vcpus', version: 1, bytes: Uint8Array.from([1, 2, 3]) }],
          }),
  });
  return { machine, memory, half };
}

export function bitmapOf(pageCount: number, pages: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(pageCount / 8));
  for (const pfn of pages) bitmap[pfn >>> 3] = (bitmap[pfn >>> 3] ?? 0) | (1 << (pfn & 7));
  return bitmap;
}
