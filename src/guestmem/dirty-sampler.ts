import type { Machine } from './machine.ts';

/** What one guest dirtied since the sample before. */
export interface DirtySample {
  /** A bit a page, for each block. */
  readonly bitmaps: readonly Uint8Array[];
  /** Pages whose bit is set. */
  readonly pages: number;
  /** Pages that each vCPU wrote; one that two of them wrote counts for both. */
  readonly vcpuPages: readonly number[];
}

/**
 * Reads the dirty logs of a guest that nobody migrates. A migration flips the same logs and has the
 * same bitmaps, so it must not run meanwhile: what is read here would be missing there.
 */
export class DirtySampler {
  private readonly machine: Machine;
  private readonly clean: readonly Uint8Array[];

  constructor(machine: Machine) {
    this.machine = machine;
    const { blocks } = machine.memory;
    this.clean = blocks.map(({ layout }) => new Uint8Array(Math.ceil(layout.pageCount / 8)));
  }

  /** Forgets what was dirtied before. Rejects with E_WORKER_DIED. */
  async begin(): Promise<void> {
    // Both maps of a log may have marks: a migration leaves off wherever it ends.
    await this.sample();
    await this.sample();
  }

  /** Rejects with E_WORKER_DIED. */
  async sample(): Promise<DirtySample> {
    const { machine, clean } = this;
    await machine.flipDirtyLogs();
    const { memory } = machine;
    const union = clean.map((bitmap) => bitmap.slice());
    const logPages: number[] = [];
    for (let log = 0; log < memory.logCount; log += 1) {
      const retired = 1 - memory.activeMap(log);
      let pages = 0;
      for (const [index, block] of memory.blocks.entries()) {
        // The bitmap is one of a migration's, and the next one begins with all of RAM.
        block.setDirty(clean[index] as Uint8Array);
        const added = block.mergeRetiredLog(log, retired);
        if (added > 0) addBits(union[index] as Uint8Array, block.dirtyPages());
        pages += added;
      }
      logPages.push(pages);
    }
    const pages = union.reduce((sum, bitmap) => sum + countBits(bitmap), 0);
    // The last log is the devices'.
    return { bitmaps: union, pages, vcpuPages: logPages.slice(0, -1) };
  }
}

/** Set bits of a bitmap of any length. */
export function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (const byte of bitmap) count += BITS[byte] as number;
  return count;
}

function addBits(to: Uint8Array, from: Uint8Array): void {
  for (let index = 0; index < to.length; index += 1) {
    to[index] = (to[index] as number) | (from[index] as number);
  }
}

const BITS = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let left = byte; left > 0; left >>>= 1) count += left & 1;
  return count;
});
