import { PAGE_BYTES } from '../base/index.ts';
import { type BlockLayout, blockLayout } from './block/block-layout.ts';
import { allocateBlockMemory } from './block/block-memory.ts';
import { RamBlock } from './block/ram-block.ts';
import type { RamBlockDescription } from './machine.ts';
import type { MemoryReserve } from './memory-reserve.ts';

/** What another thread needs to see the same memory; can be posted. */
export interface GuestMemoryHandles {
  readonly blocks: readonly { readonly layout: BlockLayout; readonly memory: WebAssembly.Memory }[];
  /** Int32 for each dirty log: which of its two maps its writer marks (0 or 1). */
  readonly activeMaps: SharedArrayBuffer;
}

/** All RAM blocks of a guest, as one thread sees them. */
export class GuestMemory {
  readonly blocks: readonly RamBlock[];
  readonly pageCount: number;
  readonly logCount: number;
  private readonly activeMaps: Int32Array;

  private constructor(handles: GuestMemoryHandles) {
    this.blocks = handles.blocks.map(({ layout, memory }) => new RamBlock(layout, memory));
    this.pageCount = this.blocks.reduce((pages, block) => pages + block.layout.pageCount, 0);
    this.activeMaps = new Int32Array(handles.activeMaps);
    this.logCount = this.activeMaps.length;
  }

  /**
   * Zeroed RAM, from the reserve where that has a block of the size; nothing else is resident.
   * `machineBytes` of each block are the machine's own. Throws E_NO_MEMORY.
   */
  static allocate(
    ramBlocks: readonly RamBlockDescription[],
    vcpuCount: number,
    reserve?: MemoryReserve,
    machineBytes = 0,
  ): GuestMemory {
    let firstPfn = 0;
    const blocks = ramBlocks.map(({ name, bytes }, index) => {
      const layout = blockLayout({ name, index, bytes, firstPfn, vcpuCount, machineBytes });
      firstPfn += layout.pageCount;
      return { layout, memory: reserve?.take(layout) ?? allocateBlockMemory(layout) };
    });
    const memory = new GuestMemory({
      blocks,
      activeMaps: new SharedArrayBuffer((vcpuCount + 1) * 4),
    });
    for (const block of memory.blocks) block.initialize();
    return memory;
  }

  static attach(handles: GuestMemoryHandles): GuestMemory {
    return new GuestMemory(handles);
  }

  handles(): GuestMemoryHandles {
    return {
      blocks: this.blocks.map(({ layout, memory }) => ({ layout, memory })),
      // Allocated above as a SharedArrayBuffer.
      activeMaps: this.activeMaps.buffer as SharedArrayBuffer,
    };
  }

  /** Which map the writer of `log` marks now. */
  activeMap(log: number): number {
    // Pairs with the xor in flipLog().
    return Atomics.load(this.activeMaps, log);
  }

  /**
   * Makes the writer of `log` mark its other map from now on. Called by the writer itself at a
   * safepoint, or by another thread while the writer is parked: never while it may be between a
   * store and its mark.
   */
  flipLog(log: number): void {
    // Pairs with the load in activeMap(); also the fence behind which the retired map is at rest.
    Atomics.xor(this.activeMaps, log, 1);
  }

  /**
   * After a flip of all logs: their marks become dirty pages. Returns the pages that were not dirty
   * before.
   */
  mergeRetiredLogs(): number {
    return this.mergeRetiredLogsEach().reduce((sum, pages) => sum + pages, 0);
  }

  /** The same, by log: a page that several have marked counts for the first of them. */
  mergeRetiredLogsEach(): number[] {
    return Array.from({ length: this.logCount }, (_, log) => this.mergeRetiredLog(log));
  }

  /**
   * After a flip of all logs, outside of a migration: returns how many pages each log had marked.
   * The marks and whatever was dirty are forgotten.
   */
  forgetRetiredLogs(): number[] {
    const clear = () => {
      for (const block of this.blocks) block.clearDirty();
    };
    return Array.from({ length: this.logCount }, (_, log) => {
      // Each log is counted by itself.
      clear();
      const pages = this.mergeRetiredLog(log);
      clear();
      return pages;
    });
  }

  private mergeRetiredLog(log: number): number {
    const retired = 1 - this.activeMap(log);
    return this.blocks.reduce((sum, block) => sum + block.mergeRetiredLog(log, retired), 0);
  }

  /** Pages that ever held something. */
  get populatedPages(): number {
    return this.blocks.reduce(
      (sum, { kernels, layout }) => sum + kernels.countBits(layout.populatedBitmap),
      0,
    );
  }

  /** The block and offset of a guest-physical address, or undefined outside RAM. */
  locate(gpaBytes: number): { readonly block: RamBlock; readonly offsetBytes: number } | undefined {
    const pfn = Math.floor(gpaBytes / PAGE_BYTES);
    const block = this.blocks.find(
      ({ layout }) => pfn >= layout.firstPfn && pfn < layout.firstPfn + layout.pageCount,
    );
    if (block === undefined) return undefined;
    return { block, offsetBytes: gpaBytes - block.layout.firstPfn * PAGE_BYTES };
  }
}
