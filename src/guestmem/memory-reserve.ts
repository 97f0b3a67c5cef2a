import { type BlockLayout, blockLayout } from './block/block-layout.ts';
import { allocateBlockMemory } from './block/block-memory.ts';
import type { RamBlockDescription } from './machine.ts';

/**
 * Memory set aside and touched before a guest comes (QEMU's -mem-prealloc): the system commits a
 * page on its first use, which can cost ten times what the copy into it does (docs/adr/0010).
 * Serves one guest whose blocks have these sizes, whatever kind of machine it is.
 */
export class MemoryReserve {
  private readonly blocks: { readonly layout: BlockLayout; readonly memory: WebAssembly.Memory }[];

  /**
   * `machineBytesMax`: the most that any machine has for itself in a block. Throws E_NO_MEMORY.
   * Takes as long as the system needs to commit it all.
   */
  constructor(ramBlocks: readonly RamBlockDescription[], machineBytesMax = 0) {
    this.blocks = ramBlocks.map(({ name, bytes }, index) => {
      // Where things lie up to the end of RAM depends on neither vCPUs nor machine.
      const shape = { name, index, bytes, firstPfn: 0, vcpuCount: 1 };
      const [least, most] = [0, machineBytesMax].map((machineBytes) =>
        blockLayout({ ...shape, machineBytes }),
      ) as [BlockLayout, BlockLayout];
      // In a block of the largest size the cache makes room for the machine, so that neither needs
      // to be the larger one. What nobody touches costs nothing.
      const memoryBytes = Math.max(least.memoryBytes, most.memoryBytes);
      const layout = { ...least, memoryBytes };
      const memory = allocateBlockMemory(layout);
      touch(memory, layout);
      return { layout, memory };
    });
  }

  /** Memory of a block with this layout, once. */
  take({ pageCount, memoryBytes }: BlockLayout): WebAssembly.Memory | undefined {
    const at = this.blocks.findIndex(
      ({ layout }) => layout.pageCount === pageCount && layout.memoryBytes >= memoryBytes,
    );
    return at < 0 ? undefined : this.blocks.splice(at, 1)[0]?.memory;
  }
}

/**
 * RAM, and what an incoming migration writes beside it. Writing a zero changes nothing and commits
 * the page.
 */
function touch(memory: WebAssembly.Memory, layout: BlockLayout): void {
  const bytes = Buffer.from(memory.buffer);
  bytes.fill(0, layout.dirtyBitmap, layout.dirtyMaps);
  bytes.fill(0, layout.slots, layout.cache);
}
