import { SternaError, type WallClock } from '../../base/index.ts';
import type { GuestMemory } from '../../guestmem/index.ts';
import { encodeMachineState } from '../../protocol/index.ts';
import type { GuestSlot } from '../guest-slot.ts';
import type { Migrations } from '../migrations.ts';
import { addPage } from './half-layout.ts';
import { writeHalf } from './half-writer.ts';

/** What was dumped. */
export interface DumpedHalf {
  readonly migrationId: string;
  readonly epoch: number;
  /** Pages that had come. */
  readonly pages: number;
  readonly missingPages: number;
  readonly bytes: number;
}

export interface DumpHalfOptions {
  readonly guests: GuestSlot;
  readonly migrations: Migrations;
  readonly wallClock: WallClock;
}

/**
 * Writes the destination's half of a guest in post-copy: pages that have come, which ones, and the
 * state of vCPUs and devices. The guest stands still from the beginning on, and stays so. Rejects
 * with E_STATE outside of post-copy, or E_FILE.
 */
export function dumpHalf(path: string, options: DumpHalfOptions): Promise<DumpedHalf> {
  const { guests, migrations, wallClock } = options;
  const info = migrations.latest;
  if (info?.side !== 'destination' || !info.status.startsWith('postcopy-')) {
    throw new SternaError('E_STATE', 'Only a destination in post-copy has a half of a guest');
  }
  const { migrationId, epoch } = info;
  return guests.whileStopped(async (machine) => {
    const { memory, description } = machine;
    const state = encodeMachineState(await machine.save());
    const bitmaps = receivedBitmaps(memory);
    const timeMs = Math.floor(wallClock() / 1000);
    const name = { migrationId, epoch, peer: '', timeMs };
    const head = { side: 'destination', machine: description, ...name } as const;
    const bytes = await writeHalf(path, { head, memory, bitmaps, state });
    const pages = bitmaps.reduce((sum, bitmap) => sum + countBits(bitmap), 0);
    return { migrationId, epoch, pages, missingPages: memory.pageCount - pages, bytes };
  });
}

/**
 * A copy of the received maps. Pages go on coming meanwhile: one that is not in it is not looked
 * at, and one that is does not change any more.
 */
function receivedBitmaps(memory: GuestMemory): readonly Uint8Array[] {
  return memory.blocks.map((block) => {
    const { pageCount } = block.layout;
    const bitmap = new Uint8Array(Math.ceil(pageCount / 8));
    for (let pfn = 0; pfn < pageCount; pfn += 1) {
      if (block.isReceived(pfn)) addPage(bitmap, pfn);
    }
    return bitmap;
  });
}

function countBits(bitmap: Uint8Array): number {
  let bits = 0;
  for (let byte of bitmap) for (; byte !== 0; byte &= byte - 1) bits += 1;
  return bits;
}
