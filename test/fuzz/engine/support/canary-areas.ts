import { type RamBlock, SLOT_BYTES, SLOT_COUNT } from '../../../../src/guestmem/index.ts';

const PATTERN = Buffer.alloc(SLOT_COUNT * SLOT_BYTES, 0xa5);
const AREA_BYTES = 2 ** 16;

/**
 * Parts of a block's memory that no migration may write into: a bad address shows there. Below the
 * kernels' context, the slots that an engine does not use; and where no guest runs, the dirty maps
 * and what lies behind RAM.
 */
export class CanaryAreas {
  private readonly areas: readonly Buffer[];

  constructor(block: RamBlock, side: 'source' | 'destination') {
    const { layout, bytes } = block;
    const behindRam = layout.ram + block.ram.length;
    // A source has two slots under way, a destination one.
    const freeSlot = block.slotAddress(side === 'source' ? 2 : 1);
    this.areas = [
      bytes.subarray(0, 0x1000),
      bytes.subarray(freeSlot, block.slotAddress(SLOT_COUNT)),
      ...(side === 'source'
        ? []
        : [
            bytes.subarray(behindRam, behindRam + AREA_BYTES),
            bytes.subarray(layout.dirtyMaps, layout.dirtyMaps + AREA_BYTES),
            bytes.subarray(layout.memoryBytes - AREA_BYTES, layout.memoryBytes),
          ]),
    ];
    for (const area of this.areas) area.fill(PATTERN);
  }

  get areIntact(): boolean {
    return this.areas.every((area) => area.equals(PATTERN.subarray(0, area.length)));
  }
}
