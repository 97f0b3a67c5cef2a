import { assert, PAGE_BYTES, RAM_BLOCK_BYTES_MAX } from '../base/index.ts';
import { type BodyResult, malformedBody } from './body/body-reader.ts';
import { PAGE_MAP_PREFIX_BYTES } from './message-types.ts';

/**
 * The body of MISSING_MAP and RECEIVED_MAP: which pages of one block are meant (docs/protocol.md,
 * Page maps). A bitmap has page `i` at bit `i & 7` of byte `i >> 3`.
 */
export interface PageMapBody {
  readonly pageCount: number;
  readonly bitmap: Uint8Array;
}

const PAGE_COUNT_MAX = RAM_BLOCK_BYTES_MAX / PAGE_BYTES;
const BITMAP = 1;
const RUNS = 2;
/** More runs save little, and finding them takes time in which the guest stands still. */
const RUNS_SHARE = 1 / 16;
/** Compared at once: a large map of few pieces would take that interpreted code milliseconds. */
const CHUNK_BYTES = 512;
const CHUNK_PAGES = CHUNK_BYTES * 8;
const EMPTY_CHUNK = new Uint8Array(CHUNK_BYTES);
const FULL_CHUNK = new Uint8Array(CHUNK_BYTES).fill(0xff);
/** Three octets hold any count of pages of a block. */
const LENGTH_BYTES_MAX = 3;

/** Runs for maps with few pieces, the bitmap for others. */
export function encodePageMap(bitmap: Uint8Array, pageCount: number): Uint8Array {
  const bitmapBytes = Math.ceil(pageCount / 8);
  assert(bitmap.length >= bitmapBytes && pageCount <= PAGE_COUNT_MAX, 'A bit for each page');
  const runs = encodeRuns(bitmap, pageCount, Math.ceil(bitmapBytes * RUNS_SHARE));
  const data = runs ?? bitmap.subarray(0, bitmapBytes);
  const body = new Uint8Array(PAGE_MAP_PREFIX_BYTES + data.length);
  const view = new DataView(body.buffer);
  view.setUint32(0, pageCount, true);
  view.setUint8(4, runs === undefined ? BITMAP : RUNS);
  body.set(data, PAGE_MAP_PREFIX_BYTES);
  if (runs === undefined) clearBeyond(body.subarray(PAGE_MAP_PREFIX_BYTES), pageCount);
  return body;
}

/** Reads a map of a block of exactly `pageCount` pages. The bitmap is a copy. */
export function decodePageMap(
  name: 'MISSING_MAP' | 'RECEIVED_MAP',
  body: Uint8Array,
  pageCount: number,
): BodyResult<PageMapBody> {
  if (body.length < PAGE_MAP_PREFIX_BYTES) return malformedBody(name, `${body.length} bytes`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const announced = view.getUint32(0, true);
  if (announced !== pageCount) {
    return malformedBody(name, `a map of ${announced} pages`, { pageCount });
  }
  const encoding = view.getUint8(4);
  if (view.getUint8(5) !== 0 || view.getUint16(6, true) !== 0) {
    return malformedBody(name, 'a reserved byte is set');
  }
  const data = body.subarray(PAGE_MAP_PREFIX_BYTES);
  if (encoding === BITMAP) return decodeBitmap(name, data, pageCount);
  if (encoding === RUNS) return decodeRuns(name, data, pageCount);
  return malformedBody(name, `encoding ${encoding}`);
}

/** Set bits among the first `pageCount`. */
export function countPages({ bitmap, pageCount }: PageMapBody): number {
  let pages = 0;
  const bytes = Math.ceil(pageCount / 8);
  for (let from = 0; from < bytes; from += CHUNK_BYTES) {
    const chunk = bitmap.subarray(from, Math.min(from + CHUNK_BYTES, bytes));
    if (isChunk(chunk, FULL_CHUNK)) pages += CHUNK_PAGES;
    else if (!isChunk(chunk, EMPTY_CHUNK)) pages += countBits(chunk);
  }
  return pages;
}

function isChunk(bytes: Uint8Array, chunk: Uint8Array): boolean {
  return Buffer.compare(bytes, chunk) === 0;
}

function countBits(bytes: Uint8Array): number {
  const words = wordsOf(bytes);
  let bits = 0;
  for (let index = 0; index < words.length; index += 1) bits += bitsOf(words[index] ?? 0);
  for (let index = words.length * 4; index < bytes.length; index += 1)
    bits += bitsOf(bytes[index] ?? 0);
  return bits;
}

/**
 * The whole words at its beginning. Maps are read and written while the guest stands still, by code
 * that runs for the first time: a step a page would take it milliseconds. Signed, because unsigned
 * ones are objects until that code is compiled.
 */
function wordsOf(bitmap: Uint8Array): Int32Array {
  const aligned = bitmap.byteOffset % 4 === 0 ? bitmap : bitmap.slice();
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}

/** Set bits of 32: neighbours are added up in pairs, fours and eights. */
function bitsOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

function decodeBitmap(
  name: 'MISSING_MAP' | 'RECEIVED_MAP',
  data: Uint8Array,
  pageCount: number,
): BodyResult<PageMapBody> {
  const bytes = Math.ceil(pageCount / 8);
  if (data.length !== bytes) return malformedBody(name, `a bitmap of ${data.length} bytes`);
  const spare = bytes * 8 - pageCount;
  if (spare > 0 && (data[bytes - 1] ?? 0) >>> (8 - spare) !== 0) {
    return malformedBody(name, 'a page beyond the block is set');
  }
  return { kind: 'ok', body: { pageCount, bitmap: data.slice() } };
}

/** Gap, length, gap, length, ...: each a whole number, seven bits an octet, the lowest first. */
function decodeRuns(
  name: 'MISSING_MAP' | 'RECEIVED_MAP',
  data: Uint8Array,
  pageCount: number,
): BodyResult<PageMapBody> {
  const bitmap = new Uint8Array(Math.ceil(pageCount / 8));
  const reader = new LengthReader(data);
  for (let page = 0; !reader.atEnd; ) {
    const gap = reader.next();
    const length = reader.next();
    if (gap === undefined || length === undefined) return malformedBody(name, 'a run is cut off');
    // Runs that touch would be one, so that a map has one encoding.
    if (length === 0 || (gap === 0 && page > 0) || page + gap + length > pageCount) {
      return malformedBody(name, 'a run is empty or beyond the block');
    }
    setRange(bitmap, page + gap, length);
    page += gap + length;
  }
  return { kind: 'ok', body: { pageCount, bitmap } };
}

class LengthReader {
  private readonly data: Uint8Array;
  private at = 0;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  get atEnd(): boolean {
    return this.at >= this.data.length;
  }

  next(): number | undefined {
    let value = 0;
    for (let octet = 0; octet < LENGTH_BYTES_MAX; octet += 1) {
      const byte = this.data[this.at];
      if (byte === undefined) return undefined;
      this.at += 1;
      value += (byte & 127) * 128 ** octet;
      if (byte < 128) return value;
    }
    return undefined;
  }
}

/** Undefined when it would be `bytesMax` or longer. */
function encodeRuns(
  bitmap: Uint8Array,
  pageCount: number,
  bytesMax: number,
): Uint8Array | undefined {
  const out = new Uint8Array(bytesMax + 2 * LENGTH_BYTES_MAX);
  let at = 0;
  const put = (value: number): void => {
    for (let rest = value; ; rest >>>= 7) {
      out[at] = rest < 128 ? rest : (rest & 127) | 128;
      at += 1;
      if (rest < 128) return;
    }
  };
  const words = wordsOf(bitmap);
  for (let end = 0; ; ) {
    const first = nextPage(bitmap, words, end, pageCount, true);
    if (first === pageCount) return out.subarray(0, at);
    const next = nextPage(bitmap, words, first, pageCount, false);
    put(first - end);
    put(next - first);
    if (at >= bytesMax) return undefined;
    end = next;
  }
}

/** The first page from `from` on whose bit is `set`; `pageCount` when there is none. */
function nextPage(
  bitmap: Uint8Array,
  words: Int32Array,
  from: number,
  pageCount: number,
  set: boolean,
): number {
  const skip = set ? 0 : 0xff;
  const skipWord = set ? 0 : -1;
  const skipChunk = set ? EMPTY_CHUNK : FULL_CHUNK;
  for (let page = from; page < pageCount; ) {
    if (page % CHUNK_PAGES === 0) {
      const at = page >>> 3;
      if (isChunk(bitmap.subarray(at, at + CHUNK_BYTES), skipChunk)) {
        page += CHUNK_PAGES;
        continue;
      }
    }
    if ((page & 31) === 0 && words[page >>> 5] === skipWord) {
      page += 32;
      continue;
    }
    const byte = bitmap[page >>> 3] ?? 0;
    if ((page & 7) === 0 && byte === skip) {
      page += 8;
    } else {
      if (((byte >>> (page & 7)) & 1) === (set ? 1 : 0)) return page;
      page += 1;
    }
  }
  return pageCount;
}

function setRange(bitmap: Uint8Array, first: number, length: number): void {
  const end = first + length;
  const wholeFrom = Math.min(end, Math.ceil(first / 8) * 8);
  const wholeTo = Math.max(wholeFrom, end & ~7);
  const set = (page: number): void => {
    bitmap[page >>> 3] = (bitmap[page >>> 3] ?? 0) | (1 << (page & 7));
  };
  for (let page = first; page < wholeFrom; page += 1) set(page);
  bitmap.fill(0xff, wholeFrom >>> 3, wholeTo >>> 3);
  for (let page = wholeTo; page < end; page += 1) set(page);
}

/** A bitmap of the kernels may have anything behind its last page. */
function clearBeyond(bitmap: Uint8Array, pageCount: number): void {
  const last = pageCount >>> 3;
  if ((pageCount & 7) !== 0) bitmap[last] = (bitmap[last] ?? 0) & ((1 << (pageCount & 7)) - 1);
}
