// Where things are in a block's memory. The host writes the first half once
// (src/guestmem/block/block-layout.ts mirrors the offsets), kernels write the second half. Kernels
// keep no static data: everything is at an address given here.

export const PAGE: usize = 4096;
export const PAGE_SHIFT: usize = 12;

const CONTEXT: usize = 0x1000;
// The lane of the thread of the migration, the first one; kernels/compress.ts has its parts.
export const OWN_LANE: usize = 0x30000;

// Written by the host.
@inline export function ramBase(): usize { return load<u32>(CONTEXT, 0); }
@inline export function pageCount(): u32 { return load<u32>(CONTEXT, 4); }
@inline export function dirtyBitmap(): usize { return load<u32>(CONTEXT, 8); }
@inline export function populatedBitmap(): usize { return load<u32>(CONTEXT, 12); }
@inline export function receivedMap(): usize { return load<u32>(CONTEXT, 16); }
@inline export function hashTable(): usize { return load<u32>(CONTEXT, 20); }
@inline export function crcTable(): usize { return load<u32>(CONTEXT, 24); }
@inline export function scratchPage(): usize { return load<u32>(CONTEXT, 28); }
@inline export function pfnList(): usize { return load<u32>(CONTEXT, 32); }
@inline export function entryScratch(): usize { return load<u32>(CONTEXT, 36); }
@inline export function heatMap(): usize { return load<u32>(CONTEXT, 40); }
@inline export function weightMap(): usize { return load<u32>(CONTEXT, 44); }
@inline export function pendingBitmap(): usize { return load<u32>(CONTEXT, 48); }
@inline export function writtenBitmap(): usize { return load<u32>(CONTEXT, 52); }
@inline export function bucketBitmaps(): usize { return load<u32>(CONTEXT, 56); }
@inline export function orderBitmapBytes(): usize { return load<u32>(CONTEXT, 60); }

// Of the XBZRLE cache; written when it is sized.
@inline export function cacheTable(): usize { return load<u32>(CONTEXT, 128); }
@inline export function cacheFree(): usize { return load<u32>(CONTEXT, 132); }
@inline export function cacheData(): usize { return load<u32>(CONTEXT, 136); }
@inline export function cacheSets(): u32 { return load<u32>(CONTEXT, 140); }
@inline export function cacheWays(): u32 { return load<u32>(CONTEXT, 144); }
@inline export function ghostTable(): usize { return load<u32>(CONTEXT, 148); }
@inline export function ghostSets(ghost: u32): u32 { return load<u32>(CONTEXT + (<usize>ghost << 2), 152); }

// Results of one call, u32 each, read by the host right after it.
export const RESULT_CURSOR: usize = 0x1100;
export const RESULT_BODY_BYTES: usize = 0x1104;
export const RESULT_TABLE_BYTES: usize = 0x1108;
export const RESULT_TABLE_CRC: usize = 0x110c;
export const RESULT_ZERO: usize = 0x1110;
export const RESULT_RAW: usize = 0x1114;
export const RESULT_XBZRLE: usize = 0x1118;
export const RESULT_UNCHANGED: usize = 0x111c;
export const RESULT_XBZRLE_BYTES: usize = 0x1120;
export const RESULT_HITS: usize = 0x1124;
export const RESULT_MISSES: usize = 0x1128;
export const RESULT_CONFLICTS: usize = 0x112c;
export const RESULT_OVERFLOWS: usize = 0x1130;
export const RESULT_NEW_PAGES: usize = 0x1134;
export const RESULT_ERROR_PFN: usize = 0x1138;
export const RESULT_DUPLICATES: usize = 0x113c;
export const RESULT_LZ4: usize = 0x1140;
export const RESULT_LZ4_XBZRLE: usize = 0x1144;
export const RESULT_LZ4_BYTES: usize = 0x1148;
export const RESULT_LZ4_XBZRLE_BYTES: usize = 0x114c;
export const RESULT_PRIMED: usize = 0x1160;

export function clearResults(): void {
  memory.fill(RESULT_CURSOR, 0, 0x80);
}

// What kernels remember from one call to the next, u32 each; the host reads some of it.
export const ORDER_MODE: usize = 0x1200;
export const CACHE_USED_COUNT: usize = 0x1204;
export const CACHE_FREE_COUNT: usize = 0x1208;
export const BUCKET_COUNTS: usize = 0x1240; // nine
export const GHOST_LOOKUPS: usize = 0x1280;
export const GHOST_HITS: usize = 0x1284; // five

// Kinds of a page entry: PAGE_KINDS of src/protocol/message-types.ts.
export const KIND_ZERO_RUN: u8 = 1;
export const KIND_RAW: u8 = 2;
export const KIND_XBZRLE: u8 = 3;
export const KIND_LZ4: u8 = 4;
export const KIND_LZ4_XBZRLE: u8 = 5;
export const ENTRY: usize = 16;

@inline export function storeEntry(at: usize, pfn: u32, kind: u8, length: u32, hash: u64): void {
  store<u32>(at, pfn);
  store<u16>(at, <u16>kind, 4);
  store<u16>(at, <u16>length, 6);
  store<u64>(at, hash, 8);
}

@inline export function testBit(bitmap: usize, index: u32): bool {
  return ((<u32>load<u8>(bitmap + (index >> 3)) >> (index & 7)) & 1) != 0;
}

@inline export function clearBit(bitmap: usize, index: u32): void {
  const at = bitmap + (index >> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) & ~(<u32>1 << (index & 7))));
}

@inline export function setBit(bitmap: usize, index: u32): void {
  const at = bitmap + (index >> 3);
  store<u8>(at, <u8>(<u32>load<u8>(at) | (<u32>1 << (index & 7))));
}
