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

/** What a page batch holds: entries of each kind, the range of page numbers, bytes of payload. */
export function describePages(block: number, entries: readonly PageEntry[]): string {
  let zeroPages = 0;
  let rawPages = 0;
  let xbzrlePages = 0;
  let payloadBytes = 0;
  let firstPfn = Number.POSITIVE_INFINITY;
  let lastPfn = 0;
  for (const entry of entries) {
    const pages = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
    if (entry.kind === 'ZERO_RUN') zeroPages += pages;
    else {
      payloadBytes += entry.payload.length;
      if (entry.kind === 'RAW') rawPages += 1;
      else xbzrlePages += 1;
    }
    firstPfn = Math.min(firstPfn, entry.pfn);
    lastPfn = Math.max(lastPfn, entry.pfn + pages - 1);
  }
  const range = entries.length === 0 ? '' : ` pfn ${firstPfn}-${lastPfn}`;
  const kinds = `zero ${zeroPages} raw ${rawPages} xbzrle ${xbzrlePages}`;
  return `block ${block}${range} ${kinds} payload ${payloadBytes} B`;
}

/** One entry of a page table. */
export function describeEntry(entry: PageEntry): string {
  if (entry.kind === 'ZERO_RUN') return `pfn ${entry.pfn} ZERO_RUN ${entry.pages} pages`;
  const hash = entry.hash.toString(16).padStart(16, '0');
  return `pfn ${entry.pfn} ${entry.kind} ${entry.payload.length} B hash ${hash}`;
}
