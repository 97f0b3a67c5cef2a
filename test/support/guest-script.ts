import { PAGE_BYTES, Random } from '../../src/base/index.ts';
import type { FakeMachine } from './fake-machine.ts';

/**
 * What a test's guest holds before it is migrated: noise, pages that it cleared again, and much
 * that it never touched.
 */
export function fillGuest(machine: FakeMachine, pages = 300): void {
  for (let index = 0; index < pages; index += 1) {
    const [block, pfn] = place(index);
    const content = index % 7 === 3 ? new Uint8Array(PAGE_BYTES) : pageOfNoise(index);
    machine.write(block, pfn, 0, content);
  }
  machine.write(2, 0, 0, pageOfNoise(9999));
}

/** Changes a few words in each of `count` pages. Different for each `round`. */
export function dirtySparsely(machine: FakeMachine, round: number, count = 40): void {
  for (let index = 0; index < count; index += 1) {
    const [block, pfn] = place(index);
    for (const offset of [8, 1024 + round * 4, 4092]) {
      machine.write(block, pfn, offset, Uint8Array.of(round, index & 255, 0x5a, round ^ 0xff));
    }
  }
}

/** Rewrites each of `count` pages as a whole. */
export function dirtyWholly(machine: FakeMachine, round: number, count = 40): void {
  for (let index = 0; index < count; index += 1) {
    const [block, pfn] = place(index);
    machine.write(block, pfn, 0, pageOfNoise(round * 10_000 + index));
  }
}

/** Spread over the two large blocks, with gaps. */
function place(index: number): readonly [block: number, pfn: number] {
  return index % 3 === 0 ? [0, 5 + index] : [1, 64 + index * 5];
}

/** 4096 bytes that nothing compresses. */
export function pageOfNoise(seed: number): Uint8Array {
  const random = new Random(seed + 1);
  const words = new Uint32Array(PAGE_BYTES / 4);
  for (let index = 0; index < words.length; index += 1) words[index] = random.uint32();
  return new Uint8Array(words.buffer);
}
