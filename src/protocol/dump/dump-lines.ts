import type { PageEntry } from '../page-batch.ts';

const BODY_TEXT_MAX = 240;

/**
 * A control body on one line. Its texts are free of control characters: the decoder refused
 * those.
 */
export function describeBody(body: object): string {
  const text = JSON.stringify(body, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return `<${value.length} bytes>`;
    return typeof value === 'number' && Number.isNaN(value) ? 'NaN' : value;
  });
  return text.length <= BODY_TEXT_MAX ? text : `${text.slice(0, BODY_TEXT_MAX)}...`;
}

/** Pages by kind. */
export interface KindCounts {
  zeroPages: number;
  rawPages: number;
  xbzrlePages: number;
  lz4Pages: number;
  lz4XbzrlePages: number;
}

export function emptyCounts(): KindCounts {
  return { zeroPages: 0, rawPages: 0, xbzrlePages: 0, lz4Pages: 0, lz4XbzrlePages: 0 };
}

const COUNTERS = {
  ZERO_RUN: 'zeroPages',
  RAW: 'rawPages',
  XBZRLE: 'xbzrlePages',
  LZ4: 'lz4Pages',
  LZ4_XBZRLE: 'lz4XbzrlePages',
} as const satisfies Record<PageEntry['kind'], keyof KindCounts>;

/** Returns the pages of the entry. */
export function countEntry(counts: KindCounts, entry: PageEntry): number {
  const pages = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
  counts[COUNTERS[entry.kind]] += pages;
  return pages;
}

/** What a page batch holds: entries of each kind, the range of page numbers, bytes of payload. */
export function describePages(block: number, entries: readonly PageEntry[]): string {
  const counts = emptyCounts();
  let payloadBytes = 0;
  let firstPfn = Number.POSITIVE_INFINITY;
  let lastPfn = 0;
  for (const entry of entries) {
    const pages = countEntry(counts, entry);
    if (entry.kind !== 'ZERO_RUN') payloadBytes += entry.payload.length;
    firstPfn = Math.min(firstPfn, entry.pfn);
    lastPfn = Math.max(lastPfn, entry.pfn + pages - 1);
  }
  const range = entries.length === 0 ? '' : ` pfn ${firstPfn}-${lastPfn}`;
  const { zeroPages, rawPages, xbzrlePages, lz4Pages, lz4XbzrlePages } = counts;
  const lz4 = lz4Pages + lz4XbzrlePages > 0 ? ` lz4 ${lz4Pages} lz4-xbzrle ${lz4XbzrlePages}` : '';
  const kinds = `zero ${zeroPages} raw ${rawPages} xbzrle ${xbzrlePages}${lz4}`;
  return `block ${block}${range} ${kinds} payload ${payloadBytes} B`;
}

/** One entry of a page table. */
export function describeEntry(entry: PageEntry): string {
  if (entry.kind === 'ZERO_RUN') return `pfn ${entry.pfn} ZERO_RUN ${entry.pages} pages`;
  const hash = entry.hash.toString(16).padStart(16, '0');
  return `pfn ${entry.pfn} ${entry.kind} ${entry.payload.length} B hash ${hash}`;
}
