import {
  MULTIFD_SLOT,
  type RamBlock,
  SLOT_BYTES,
  SLOT_COUNT,
  URGENT_SLOT_BYTES,
  URGENT_SLOT_COUNT,
} from '../../../../src/guestmem/index.ts';

const PATTERN = Buffer.alloc(MULTIFD_SLOT * SLOT_BYTES, 0xa5);
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
    const slots = (first: number, end: number) =>
      bytes.subarray(block.slotAddress(first), block.slotAddress(end));
    const behindUrgent = block.urgentSlotAddress(URGENT_SLOT_COUNT - 1) + URGENT_SLOT_BYTES;
    this.areas = [
      bytes.subarray(0, 0x1000),
      // A source has slots 0 and 1 under way, and in the last one the small ones; a destination 0
      // and 2. Nobody has agreed on several connections.
      ...(side === 'source'
        ? [
            slots(2, 3),
            ...headsOfFurtherSlots(block),
            bytes.subarray(behindUrgent, block.slotAddress(SLOT_COUNT)),
          ]
        : [slots(1, 2), slots(3, MULTIFD_SLOT), ...headsOfFurtherSlots(block)]),
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

/** Where a frame would begin; to fill and compare all of it would take most of the time. */
function headsOfFurtherSlots(block: RamBlock): Buffer[] {
  return Array.from({ length: SLOT_COUNT - 1 - MULTIFD_SLOT }, (_, index) => {
    const start = block.slotAddress(MULTIFD_SLOT + index);
    return block.bytes.subarray(start, start + AREA_BYTES);
  });
}
