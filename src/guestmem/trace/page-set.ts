import { countBits } from '../dirty-sampler.ts';
import type { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { traceError } from './trace.ts';

/**
 * A set of guest pages in the smaller of two forms: runs (the gap before each, then its length
 * less one, as varints), or a bitmap. A sweep takes a few bytes, scattered pages one or two each,
 * and never more than a bit a page of RAM.
 */
const RUNS = 0;
const BITMAP = 1;

/** `pages` are ascending and different, and below `pageCount`. */
export function writePageSet(writer: ByteWriter, pages: Uint32Array, pageCount: number): void {
  const runs = new ByteWriter();
  const bitmapBytes = Math.ceil(pageCount / 8);
  let end = 0;
  for (let at = 0; at < pages.length && runs.view().length < bitmapBytes; ) {
    const first = pages[at] as number;
    let length = 1;
    while (pages[at + length] === first + length) length += 1;
    runs.varint(first - end);
    runs.varint(length - 1);
    end = first + length;
    at += length;
  }
  writer.varint(pages.length);
  const isBitmap = runs.view().length >= bitmapBytes && bitmapBytes > 0 && pages.length > 0;
  writer.u8(isBitmap ? BITMAP : RUNS);
  writer.raw(isBitmap ? bitmapOfPages(pages, pageCount) : runs.view());
}

/** Throws E_TRACE. */
export function readPageSet(reader: ByteReader, pageCount: number): Uint32Array {
  const { offsetBytes } = reader;
  const pages = new Uint32Array(reader.varint('count of pages', pageCount));
  const form = reader.u8('form of a page set');
  if (form === BITMAP) {
    const bitmap = reader.take(Math.ceil(pageCount / 8), 'bitmap of pages');
    const found = pagesOfBitmap(bitmap);
    if (found.length === pages.length && (found.at(-1) ?? 0) < pageCount) return found;
    throw traceError('Trace has a bitmap that does not fit to its count', { offsetBytes });
  }
  if (form !== RUNS)
    throw traceError('Trace has a page set of an unknown form', { offsetBytes, form });
  let end = 0;
  for (let count = 0; count < pages.length; ) {
    const first = end + reader.varint('gap between pages', pageCount - end - 1);
    const most = Math.min(pageCount - first, pages.length - count);
    const length = 1 + reader.varint('run of pages', most - 1);
    for (let index = 0; index < length; index += 1) pages[count + index] = first + index;
    count += length;
    end = first + length;
  }
  return pages;
}

export function bitmapOfPages(pages: Uint32Array, pageCount: number): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(pageCount / 8));
  for (const pfn of pages) bitmap[pfn >>> 3] = (bitmap[pfn >>> 3] as number) | (1 << (pfn & 7));
  return bitmap;
}

/** The numbers of the bits that are set, ascending, `first` added to each. */
export function pagesOfBitmap(bitmap: Uint8Array, first = 0): Uint32Array {
  const pages = new Uint32Array(countBits(bitmap));
  let count = 0;
  for (let at = 0; at < bitmap.length; at += 1) {
    for (let left = bitmap[at] as number; left !== 0; left &= left - 1) {
      pages[count] = first + at * 8 + 31 - Math.clz32(left & -left);
      count += 1;
    }
  }
  return pages;
}
