import { crc32c, PAGE_BYTES } from '../../src/base/index.ts';
import type { ApplyOutcome } from '../../src/guestmem/index.ts';
import { decodePageTable, type PageEntry } from '../../src/protocol/index.ts';
import { decodeLz4 } from './lz4.ts';
import { pageHash } from './page-hash.ts';
import { decodeXbzrle } from './xbzrle.ts';

/** What applies batches of pages, page by page: the twin of kernels/apply.ts. */
export class ReferencePageDestination {
  readonly ram: Uint8Array;
  readonly received: boolean[];
  readonly populated: boolean[];
  readonly hashes: bigint[];
  /** Skipped because they had come already, since the start. */
  duplicatePages = 0;
  private readonly pageCount: number;

  constructor(pageCount: number) {
    this.pageCount = pageCount;
    this.ram = new Uint8Array(pageCount * PAGE_BYTES);
    this.received = Array.from({ length: pageCount }, () => false);
    this.populated = Array.from({ length: pageCount }, () => false);
    this.hashes = Array.from({ length: pageCount }, () => 0n);
  }

  page(pfn: number): Uint8Array {
    return this.ram.subarray(pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
  }

  /** Nothing of RAM has changed when the outcome is `bad-crc` or `bad-table`. */
  apply(
    body: Uint8Array,
    checkedBytes: number,
    checkedCrc: number,
    keepReceived = false,
  ): ApplyOutcome {
    const table = body.subarray(body.length - checkedBytes);
    if (checkedBytes > 0 && checkedBytes % 16 === 0 && (body.length - checkedBytes) % 8 === 0) {
      if (crc32c(table) !== checkedCrc) return 'bad-crc';
    }
    const decoded = decodePageTable(body, checkedBytes);
    if (decoded.kind === 'malformed') return 'bad-table';
    if (decoded.body.some((entry) => this.isOutside(entry))) return 'bad-table';
    for (const entry of decoded.body) {
      const outcome = this.applyEntry(entry, keepReceived);
      if (outcome !== 'ok') return outcome;
    }
    return 'ok';
  }

  private isOutside(entry: PageEntry): boolean {
    const pages = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
    return entry.pfn + pages > this.pageCount;
  }

  private applyEntry(entry: PageEntry, keepReceived: boolean): ApplyOutcome {
    if (entry.kind === 'ZERO_RUN') {
      for (let pfn = entry.pfn; pfn < entry.pfn + entry.pages; pfn += 1) {
        if (keepReceived && this.received[pfn]) {
          this.duplicatePages += 1;
          continue;
        }
        this.page(pfn).fill(0);
        this.hashes[pfn] = 0n;
        this.received[pfn] = true;
      }
      return 'ok';
    }
    const { pfn, hash, payload } = entry;
    if (keepReceived && this.received[pfn]) {
      this.duplicatePages += 1;
      return 'ok';
    }
    const page = this.page(pfn);
    this.populated[pfn] = true;
    if (entry.kind === 'RAW') page.set(payload);
    else if (entry.kind === 'LZ4') {
      const decoded = decodeLz4(payload, PAGE_BYTES);
      if (decoded?.length !== PAGE_BYTES) return 'bad-lz4';
      page.set(decoded);
    } else {
      const delta = entry.kind === 'XBZRLE' ? payload : decodeLz4(payload, PAGE_BYTES - 1);
      if (delta === undefined || delta.length < 3) return 'bad-lz4';
      // In post-copy it is for what the page was before it became missing.
      const hasBase = keepReceived || this.received[pfn];
      if (!hasBase || !decodeXbzrle(page, delta)) return 'bad-delta';
    }
    if (pageHash(page, pfn) !== hash) return 'bad-hash';
    this.hashes[pfn] = hash;
    this.received[pfn] = true;
    return 'ok';
  }
}
