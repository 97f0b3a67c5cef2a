import { SternaError } from '../base/index.ts';
import type { ApplyOutcome, ApplyResult, GuestMemory, RamBlock } from '../guestmem/index.ts';
import { FRAME_HEADER_BYTES, type FrameHeader } from '../protocol/index.ts';

/**
 * Frames are applied as they come, so one slot of each block is enough for a connection, and it
 * stays in the processor's cache. Those of another one may come in the middle, and have a slot of
 * their own.
 */
const STAGING_SLOT = 0;

const FAILURES: Readonly<
  Record<Exclude<ApplyOutcome, 'ok'>, readonly [SternaError['code'], string]>
> = {
  'bad-table': ['E_PROTOCOL_BAD_BODY', 'Page batch has a malformed table'],
  'bad-crc': ['E_PROTOCOL_CHECKSUM', 'Page table checksum does not match'],
  'bad-delta': ['E_PROTOCOL_BAD_BODY', 'Page batch has a malformed delta'],
  'bad-lz4': ['E_PROTOCOL_BAD_BODY', 'Page batch has a malformed LZ4 block'],
  'bad-hash': ['E_PAGE_HASH', 'Page does not have the announced hash'],
};

/** Puts the pages of incoming frames into guest RAM. */
export class PageLoader {
  private readonly memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Where the body of a frame that carries pages or hashes goes: beside the RAM that it is for. */
  place(header: FrameHeader, slot = STAGING_SLOT): Uint8Array | SternaError {
    const block = this.memory.blocks[header.block];
    if (block === undefined) {
      return new SternaError(
        'E_PROTOCOL_BAD_BODY',
        'Frame is for a RAM block that does not exist',
        {
          detail: { block: header.block, blocks: this.memory.blocks.length },
        },
      );
    }
    return block.slot(slot).subarray(FRAME_HEADER_BYTES);
  }

  /**
   * Applies a PAGE_BATCH that lies where `place` said; with `keepReceived`, no page that is here
   * already. Throws what is wrong with it.
   */
  apply(header: FrameHeader, slot = STAGING_SLOT, keepReceived = false): ApplyResult {
    const block = this.blockOf(header);
    const result = block.apply(
      bodyAddress(block, slot),
      header.bodyBytes,
      header.checkedBytes,
      header.checkedCrc,
      keepReceived,
    );
    if (result.outcome === 'ok') return result;
    const [code, message] = FAILURES[result.outcome];
    throw new SternaError(code, message, {
      detail: { block: block.layout.name, pfn: result.errorPfn },
    });
  }

  /**
   * Compares a VERIFY_HASHES frame with the hashes of the pages as they were applied, or
   * (`fromRam`, while the guest has not run) as they lie in RAM. Returns the number of pages
   * compared and those that differ.
   */
  compare(
    header: FrameHeader,
    fromRam: boolean,
    differencesMax: number,
  ): { pages: number; differences: string[] } {
    const block = this.blockOf(header);
    const { layout, kernels } = block;
    const address = bodyAddress(block, STAGING_SLOT);
    const body = block
      .slot(STAGING_SLOT)
      .subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.bodyBytes);
    if (header.bodyBytes < 16 || header.checkedBytes !== header.bodyBytes)
      throw badHashes('length');
    if (kernels.crc32c(address, header.bodyBytes) >>> 0 !== header.checkedCrc) {
      throw new SternaError('E_PROTOCOL_CHECKSUM', 'Checksum of page hashes does not match');
    }
    const first = body.readUInt32LE(0);
    const count = body.readUInt32LE(4);
    if (header.bodyBytes !== 8 + count * 8 || first + count > layout.pageCount)
      throw badHashes('range');
    if (fromRam) kernels.hashPages(first, count, layout.hashTable + first * 8);
    const { pfns } = block.compareHashes(first, count, address + 8, differencesMax);
    return { pages: count, differences: pfns.map((pfn) => `${layout.name}:${pfn}`) };
  }

  private blockOf(header: FrameHeader): RamBlock {
    const block = this.memory.blocks[header.block];
    // place() has refused others already.
    if (block === undefined) throw badHashes('block');
    return block;
  }
}

function bodyAddress(block: RamBlock, slot: number): number {
  return block.slotAddress(slot) + FRAME_HEADER_BYTES;
}

function badHashes(what: string): SternaError {
  return new SternaError('E_PROTOCOL_BAD_BODY', `Page frame has a bad ${what}`);
}
