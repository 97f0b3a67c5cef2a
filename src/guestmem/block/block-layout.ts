import {
  assert,
  BATCH_PAGES_MAX,
  MULTIFD_CHANNELS_MAX,
  PAGE_BYTES,
  RAM_BLOCK_BYTES_MAX,
  VCPU_COUNT_MAX,
} from '../../base/index.ts';

/**
 * Where things lie in the WebAssembly memory of one RAM block, in bytes:
 *
 *   0x1000  kernel context, results, what kernels remember (kernels/context.ts mirrors the offsets)
 *   0x2000  CRC32C tables, 16 KiB           0x8000  scratch page
 *   0x10000 list of page numbers            0x20000 page entries of the batch being made
 *   0x30000 lanes of the codec: counters, hash table and output of each
 *   then    dirty, populated and scratch bitmap · received map · heat · page hashes
 *   then    dirty maps of the vCPUs
 *   then    order of a pass: weights · pending and written bitmap · a bitmap for each bucket
 *   then    staging slots
 *   then    guest RAM · XBZRLE cache (two tables, free slots, ghosts, pages)
 *   then    the machine's own area
 *
 * Memory that nobody touches costs nothing: the system commits pages on first use.
 */
export interface BlockLayout {
  readonly name: string;
  readonly index: number;
  readonly pageCount: number;
  /** First page of this block in the guest's physical address space. */
  readonly firstPfn: number;
  /** Number of dirty logs: one for each vCPU, and one for devices (the last). */
  readonly logCount: number;
  readonly dirtyBitmap: number;
  readonly populatedBitmap: number;
  /** A bitmap on its way between a kernel and the host. */
  readonly scratchBitmap: number;
  readonly receivedMap: number;
  /** For each page, a byte: how many retired logs told that it was dirtied, up to 255. */
  readonly heatMap: number;
  readonly hashTable: number;
  readonly dirtyMaps: number;
  /** For each page, a byte: how often it was dirtied lately. */
  readonly weightMap: number;
  /** Pages that the pass has still to send. */
  readonly pendingBitmap: number;
  /** Pages that were written since somebody asked. */
  readonly writtenBitmap: number;
  /** Pending pages by weight: ORDER_BUCKETS bitmaps, `orderBitmapBytes` apart. */
  readonly bucketBitmaps: number;
  readonly orderBitmapBytes: number;
  readonly slots: number;
  readonly ram: number;
  /** Two tables of the XBZRLE cache, one of which is in use. */
  readonly cache: number;
  /** Bytes of each. */
  readonly cacheTableBytes: number;
  readonly cacheFree: number;
  readonly cacheGhosts: number;
  readonly cacheData: number;
  /** Pages that the XBZRLE cache can hold at most. */
  readonly cachePagesMax: number;
  /**
   * What the machine keeps beside its RAM because its program reaches one memory only: registers,
   * caches. The engines never look there.
   */
  readonly machineArea: number;
  readonly memoryBytes: number;
}

export const CONTEXT = 0x1000;
export const RESULTS = 0x1100;
/** What kernels remember from one call to the next. */
export const KERNEL_STATE = 0x1200;
export const CRC_TABLE = 0x2000;
export const SCRATCH_PAGE = 0x8000;
export const PFN_LIST = 0x10000;
export const ENTRY_SCRATCH = 0x20000;
const LANES = 0x30000;
/** One for the thread of the migration, one for each helper; kernels/compress.ts has its parts. */
export const LANE_COUNT = 4;
const LANE_BYTES = 0x4000;
/** Of results at its beginning, u32 each. */
export const LANE_WORDS = 16;
const FIXED_BYTES = LANES + LANE_COUNT * LANE_BYTES;

/**
 * A byte for each page that a 32-bit address can name: an access outside RAM finds a zero there and
 * takes the slow path, which checks the bounds. So the fast path of the soft MMU needs no bounds
 * check.
 */
export const PAGE_MAP_BYTES = 2 ** 20;

/**
 * A sender has slots 0 and 1: two keep the socket busy while the next batch is made, more gain
 * nothing (docs/adr/0003); and slots 3 and 4 while helpers of the codec have some. A loader has
 * slot 0, slot 2 for a second connection, and those from 5 on for the connections of multifd. The
 * last slot is cut into the urgent slots; before post-copy a `ChangeProbe` works there.
 */
export const SECOND_SLOT = 2;
export const MULTIFD_SLOT = 5;
export const SLOT_COUNT = MULTIFD_SLOT + MULTIFD_CHANNELS_MAX + 1;
/**
 * Header in front, body behind, and room for the next frame's header, which the reader reads in the
 * same call.
 */
export const SLOT_BYTES = roundUp(32 + BATCH_PAGES_MAX * (PAGE_BYTES + 16) + 32, 2 ** 16);

/** Small slots, each for a page that a vCPU waits for. */
export const URGENT_SLOT_COUNT = 128;
/** Header, one page with its entry, and room for the next frame's header. */
export const URGENT_SLOT_BYTES = roundUp(32 + PAGE_BYTES + 16 + 32, 64);

/** Buckets of weights: 0, 1, 2-3, ... 128-255. */
export const ORDER_BUCKETS = 9;
/** Page, age and slot of a way of the XBZRLE cache; kernels/xbzrle-cache.ts has the fields. */
export const CACHE_ENTRY_BYTES = 16;
/** Ghosts: five of at most all pages, of which they see a sixteenth; 8 bytes each. */
const GHOST_BYTES = 4;
const CACHE_PAGE_BYTES = PAGE_BYTES + 2 * CACHE_ENTRY_BYTES + 4 + GHOST_BYTES;
/** What rounding the parts of a cache may take. */
const CACHE_ROUNDING_BYTES = 6 * PAGE_BYTES;

const LOG_COUNT_MAX = VCPU_COUNT_MAX + 1;
const WASM_PAGE_BYTES = 2 ** 16;
const MEMORY_BYTES_MAX = 2 ** 32;

export interface BlockShape {
  readonly name: string;
  readonly index: number;
  readonly bytes: number;
  readonly firstPfn: number;
  readonly vcpuCount: number;
  /** Of the machine's own area; none by default. */
  readonly machineBytes?: number;
}

export function blockLayout(shape: BlockShape): BlockLayout {
  assert(shape.bytes % PAGE_BYTES === 0, 'RAM block is not a multiple of the page size');
  assert(shape.bytes > 0 && shape.bytes <= RAM_BLOCK_BYTES_MAX, 'RAM block size is out of range');
  const pageCount = shape.bytes / PAGE_BYTES;
  const logCount = shape.vcpuCount + 1;
  const bitmapBytes = roundUp(pageCount / 8, PAGE_BYTES);
  const dirtyBitmap = FIXED_BYTES;
  const populatedBitmap = dirtyBitmap + bitmapBytes;
  const scratchBitmap = populatedBitmap + bitmapBytes;
  const receivedMap = scratchBitmap + bitmapBytes;
  const heatMap = receivedMap + PAGE_MAP_BYTES;
  const hashTable = heatMap + roundUp(pageCount, PAGE_BYTES);
  const dirtyMaps = hashTable + roundUp(pageCount * 8, PAGE_BYTES);
  // Room for the most vCPUs, so that memory set aside before a guest is known fits any number of
  // them.
  const weightMap = dirtyMaps + LOG_COUNT_MAX * 2 * PAGE_MAP_BYTES;
  const pendingBitmap = weightMap + roundUp(pageCount, PAGE_BYTES);
  const writtenBitmap = pendingBitmap + bitmapBytes;
  const bucketBitmaps = writtenBitmap + bitmapBytes;
  const slots = roundUp(bucketBitmaps + ORDER_BUCKETS * bitmapBytes, PAGE_BYTES);
  const ram = roundUp(slots + SLOT_COUNT * SLOT_BYTES, WASM_PAGE_BYTES);
  const cache = ram + shape.bytes;
  const machineBytes = roundUp(shape.machineBytes ?? 0, PAGE_BYTES);
  const room = MEMORY_BYTES_MAX - WASM_PAGE_BYTES - CACHE_ROUNDING_BYTES - cache - machineBytes;
  const cachePagesMax = Math.min(pageCount + 2, Math.floor(room / CACHE_PAGE_BYTES));
  const cacheTableBytes = roundUp(cachePagesMax * CACHE_ENTRY_BYTES, PAGE_BYTES);
  const cacheFree = cache + 2 * cacheTableBytes;
  const cacheGhosts = cacheFree + roundUp(cachePagesMax * 4, PAGE_BYTES);
  const cacheData = cacheGhosts + roundUp(cachePagesMax * GHOST_BYTES, PAGE_BYTES) + PAGE_BYTES;
  const machineArea = cacheData + cachePagesMax * PAGE_BYTES;
  return {
    name: shape.name,
    index: shape.index,
    pageCount,
    firstPfn: shape.firstPfn,
    logCount,
    dirtyBitmap,
    populatedBitmap,
    scratchBitmap,
    receivedMap,
    heatMap,
    hashTable,
    dirtyMaps,
    weightMap,
    pendingBitmap,
    writtenBitmap,
    bucketBitmaps,
    orderBitmapBytes: bitmapBytes,
    slots,
    ram,
    cache,
    cacheTableBytes,
    cacheFree,
    cacheGhosts,
    cacheData,
    cachePagesMax,
    machineArea,
    memoryBytes: roundUp(machineArea + machineBytes, WASM_PAGE_BYTES),
  };
}

/** What one caller of the codec's kernel writes beside the body. */
export function laneAddress(lane: number): number {
  assert(lane >= 0 && lane < LANE_COUNT, 'The lane exists');
  return LANES + lane * LANE_BYTES;
}

/** One of the two dirty maps of a log. */
export function dirtyMapAddress(layout: BlockLayout, log: number, map: number): number {
  return layout.dirtyMaps + (log * 2 + map) * PAGE_MAP_BYTES;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
