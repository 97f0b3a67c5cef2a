import { crc32c, PAGE_BYTES } from '../../src/base/index.ts';
import type { GatherResult } from '../../src/guestmem/index.ts';
import { encodePageBatch, type PageEntry } from '../../src/protocol/index.ts';
import { emptyRuns } from './dirty-log.ts';
import { ReferenceGhosts } from './ghost-cache.ts';
import { isZeroPage, pageHash } from './page-hash.ts';
import { encodeXbzrle } from './xbzrle.ts';
import { ReferenceCache } from './xbzrle-cache.ts';

export interface ReferenceBatch {
  readonly body: Uint8Array;
  readonly result: GatherResult;
}

/** The block, when it is shorter than the limit. What it writes the package `lz4` judges. */
export type EncodeLz4 = (bytes: Uint8Array, limitBytes: number) => Uint8Array | undefined;

const LONG_DELTA_BYTES = 2048;

type Counts = { -readonly [Key in keyof GatherResult]: number };

const ZERO_RUN_PAGES_MAX = 0xffff;

/** What makes batches of pages, page by page: the twin of kernels/gather.ts. */
export class ReferencePageSource {
  readonly ram: Uint8Array;
  readonly cache: ReferenceCache;
  ghosts: ReferenceGhosts;
  /** Buckets of the pages' weights. */
  readonly buckets: number[];
  /** Of the gather that runs: long deltas are compared with LZ4 of their pages. */
  private lz4: EncodeLz4 | undefined;

  constructor(pageCount: number, cachePages: number, ways = 2) {
    this.ram = new Uint8Array(pageCount * PAGE_BYTES);
    this.cache = new ReferenceCache(cachePages, ways);
    this.ghosts = new ReferenceGhosts(cachePages, ways, pageCount + 2);
    this.buckets = new Array<number>(pageCount).fill(0);
  }

  page(pfn: number): Uint8Array {
    return this.ram.subarray(pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
  }

  gather(
    pfns: readonly number[],
    encode: boolean,
    keep: boolean,
    age: number,
    primeBucket = 0,
    keepOthers = false,
    shortest?: EncodeLz4,
  ): ReferenceBatch {
    this.lz4 = shortest;
    const counts = emptyCounts();
    const entries: PageEntry[] = [];
    for (const pfn of pfns) {
      const isHot = primeBucket > 0 && this.buckets[pfn]! >= primeBucket;
      const primes = isHot || keepOthers;
      const ageNow = encode || isHot ? age : 0;
      if (encode || primes) this.ghosts.see(pfn, ageNow, encode, keep);
      if (!encode && primes && keep) this.insert(pfn, ageNow, counts, isHot);
      const entry = encode
        ? this.encodePage(pfn, keep, age, counts, isHot)
        : wholePage(pfn, this.page(pfn), counts);
      if (entry !== undefined) putEntry(entries, entry);
    }
    return finish(entries, counts);
  }

  /** Each page has an entry. */
  gatherMissing(pfns: readonly number[], deltas: boolean): ReferenceBatch {
    this.lz4 = undefined;
    const counts = emptyCounts();
    const entries: PageEntry[] = [];
    for (const pfn of pfns) {
      if (deltas) this.ghosts.see(pfn, 0, true, false);
      const entry = deltas
        ? (this.encodePage(pfn, false, 0, counts, false) ?? this.samePage(pfn, counts))
        : wholePage(pfn, this.page(pfn), counts);
      putEntry(entries, entry);
    }
    return finish(entries, counts);
  }

  gatherEmpty(
    populated: readonly boolean[],
    from: number,
    max: number,
  ): ReferenceBatch & { readonly next: number } {
    const { runs, next } = emptyRuns(populated, from, max);
    const counts = emptyCounts();
    counts.zeroPages = runs.reduce((sum, run) => sum + run.pages, 0);
    const entries = runs.map((run): PageEntry => ({ kind: 'ZERO_RUN', ...run }));
    return { ...finish(entries, counts), next };
  }

  /** Dirty pages that hold only zeros, and are not dirty after that. */
  gatherZeros(dirty: boolean[]): ReferenceBatch {
    const counts = emptyCounts();
    const entries: PageEntry[] = [];
    for (const pfn of dirty.keys()) {
      if (!dirty[pfn] || !isZeroPage(this.page(pfn))) continue;
      dirty[pfn] = false;
      counts.zeroPages += 1;
      this.cache.find(pfn)?.content.fill(0);
      putEntry(entries, { kind: 'ZERO_RUN', pfn, pages: 1 });
    }
    return finish(entries, counts);
  }

  /** A delta that changes nothing: the first byte. */
  private samePage(pfn: number, counts: Counts): PageEntry {
    const page = this.page(pfn);
    const payload = Uint8Array.of(0, 1, page[0]!);
    counts.unchangedPages -= 1;
    counts.xbzrlePages += 1;
    counts.xbzrleBytes += payload.length;
    return { kind: 'XBZRLE', pfn, hash: pageHash(page, pfn), payload };
  }

  private insert(pfn: number, age: number, counts: Counts, primes: boolean): void {
    // A page that only fills room meets no conflict.
    if (!this.cache.insert(pfn, this.page(pfn), age)) counts.conflictPages += age > 0 ? 1 : 0;
    else if (primes) counts.primedPages += 1;
  }

  private encodePage(
    pfn: number,
    keep: boolean,
    age: number,
    counts: Counts,
    primes: boolean,
  ): PageEntry | undefined {
    const page = this.page(pfn);
    const cached = this.cache.find(pfn);
    if (cached === undefined) {
      counts.missPages += 1;
      if (keep) this.insert(pfn, age, counts, primes);
      return wholePage(pfn, page, counts);
    }
    counts.hitPages += 1;
    cached.age = age;
    const encoding = encodeXbzrle(cached.content, page);
    if (keep) cached.content.set(page);
    if (isZeroPage(page)) return wholePage(pfn, page, counts);
    if (encoding === 'unchanged') {
      counts.unchangedPages += 1;
      return undefined;
    }
    // Unlike QEMU, an encoding that saves nothing is not sent.
    if (encoding === 'overflow' || encoding.length >= PAGE_BYTES) {
      counts.overflowPages += 1;
      return wholePage(pfn, page, counts);
    }
    const shorter = this.shorterPage(page, encoding);
    if (shorter !== undefined) {
      counts.lz4Pages += 1;
      counts.lz4Bytes += shorter.length;
      return { kind: 'LZ4', pfn, hash: pageHash(page, pfn), payload: shorter };
    }
    counts.xbzrlePages += 1;
    counts.xbzrleBytes += encoding.length;
    return { kind: 'XBZRLE', pfn, hash: pageHash(page, pfn), payload: encoding };
  }

  /** LZ4 of the page, where that is shorter than the delta is and can become. */
  private shorterPage(page: Uint8Array, delta: Uint8Array): Uint8Array | undefined {
    if (this.lz4 === undefined || delta.length < LONG_DELTA_BYTES) return undefined;
    const ofPage = this.lz4(page, delta.length);
    if (ofPage === undefined || this.lz4(delta, ofPage.length) !== undefined) return undefined;
    return ofPage;
  }
}

function wholePage(pfn: number, page: Uint8Array, counts: Counts): PageEntry {
  if (isZeroPage(page)) {
    counts.zeroPages += 1;
    return { kind: 'ZERO_RUN', pfn, pages: 1 };
  }
  counts.rawPages += 1;
  return { kind: 'RAW', pfn, hash: pageHash(page, pfn), payload: Uint8Array.from(page) };
}

/** A zero page right behind a zero run joins it. */
function putEntry(entries: PageEntry[], entry: PageEntry): void {
  const last = entries.at(-1);
  const joins =
    entry.kind === 'ZERO_RUN' &&
    last?.kind === 'ZERO_RUN' &&
    last.pfn + last.pages === entry.pfn &&
    last.pages < ZERO_RUN_PAGES_MAX;
  if (joins) entries[entries.length - 1] = { ...last, pages: last.pages + 1 };
  else entries.push(entry);
}

function finish(entries: readonly PageEntry[], counts: Counts): ReferenceBatch {
  // Nothing to send: no frame.
  if (entries.length === 0) return { body: new Uint8Array(0), result: counts };
  const { body, checkedBytes } = encodePageBatch(entries);
  counts.bodyBytes = body.length;
  counts.tableBytes = checkedBytes;
  counts.tableCrc = crc32c(body.subarray(body.length - checkedBytes));
  return { body, result: counts };
}

function emptyCounts(): Counts {
  return {
    bodyBytes: 0,
    tableBytes: 0,
    tableCrc: 0,
    zeroPages: 0,
    rawPages: 0,
    xbzrlePages: 0,
    unchangedPages: 0,
    xbzrleBytes: 0,
    hitPages: 0,
    missPages: 0,
    conflictPages: 0,
    overflowPages: 0,
    primedPages: 0,
    lz4Pages: 0,
    lz4Bytes: 0,
  };
}
