import type { Machine } from '../../guestmem/index.ts';

/**
 * Pages that the guest has changed since the last point that the source has. What was sent of a
 * point stays on a list until that point is acknowledged: when it is lost, its pages are dirty
 * again.
 */
export class DirtyPages {
  private readonly machine: Machine;
  /** For each block a bit a page: on the way in the point that is being made. */
  private readonly underWay: Uint8Array[];

  constructor(machine: Machine) {
    this.machine = machine;
    this.underWay = machine.memory.blocks.map((block) => new Uint8Array(block.dirtyPages().length));
  }

  /** Learns what was changed until now. Whether the guest runs or stands still. */
  async collect(): Promise<number> {
    await this.machine.flipDirtyLogs();
    this.machine.memory.mergeRetiredLogs();
    return this.count();
  }

  /** Those that have not been taken for the point yet. */
  count(): number {
    return this.machine.memory.blocks.reduce((pages, block) => pages + block.countDirty(), 0);
  }

  /** All that the source does not have: those that are dirty and those under way, each once. */
  countLagging(): number {
    return this.machine.memory.blocks.reduce((pages, block, index) => {
      const way = this.underWay[index];
      const all = block.dirtyPages().map((byte, at) => byte | (way?.[at] ?? 0));
      return pages + countBits(all);
    }, 0);
  }

  /** Whatever is dirty now is about to be taken. */
  beginTaking(): void {
    for (const [index, block] of this.machine.memory.blocks.entries()) {
      merge(this.underWay[index], block.dirtyPages());
    }
  }

  /** The source has the point. */
  acknowledged(): void {
    for (const way of this.underWay) way.fill(0);
  }

  /** The point is lost. */
  restore(): void {
    for (const [index, block] of this.machine.memory.blocks.entries()) {
      const dirty = block.dirtyPages();
      merge(dirty, this.underWay[index]);
      block.setDirty(dirty);
    }
    this.acknowledged();
  }
}

function merge(into: Uint8Array | undefined, from: Uint8Array | undefined): void {
  if (into === undefined || from === undefined) return;
  for (let at = 0; at < from.length; at += 1) into[at] = (into[at] ?? 0) | (from[at] ?? 0);
}

function countBits(bitmap: Uint8Array): number {
  let bits = 0;
  for (const byte of bitmap) for (let rest = byte; rest !== 0; rest &= rest - 1) bits += 1;
  return bits;
}
