import { PAGE_BYTES } from '../../src/base/index.ts';

/**
 * What the programs of lmbench, stream and erp do to RAM, word by word: the twin of
 * `src/guest/programs`. Guest pages are numbered over all blocks, and all of RAM is one array.
 */
export class ReferenceGuest {
  readonly ram: Buffer;
  /** Pages that were written. */
  readonly written = new Set<number>();
  private readonly seed: number;

  constructor(pageCount: number, seed: number) {
    this.ram = Buffer.alloc(pageCount * PAGE_BYTES);
    this.seed = seed;
  }

  /** One more in each byte or word at a multiple of the stride. */
  lmbenchPage(pfn: number, unitBytes: number, strideBytes: number): void {
    const page = this.page(pfn);
    for (let at = 0; at < PAGE_BYTES; at += strideBytes) {
      if (unitBytes === 1) page[at] = (page[at] as number) + 1;
      else page.writeUInt32LE((page.readUInt32LE(at) + 1) >>> 0, at);
    }
  }

  /** The page as it is written for the `version`-th time, 1 the first. */
  streamPage(pfn: number, version: number, ring: StreamRing): void {
    const page = this.page(pfn);
    const place = pfn - ring.first;
    const frames = ring.pages / ring.framePages;
    const number = (version - 1) * frames + Math.floor(place / ring.framePages);
    const index = place % ring.framePages;
    const changing = noise((this.seed + Math.imul(version, 0x9e3779b1)) >>> 0, pfn);
    const resting = noise(~this.seed >>> 0, pfn);
    let hash = fnv(fnv(0x811c9dc5, number), index);
    for (let at = 16; at < PAGE_BYTES; at += 8) {
      // What rests begins anew where the changes end.
      const { value } = (at < 16 + ring.changedBytes ? changing : resting).next();
      page.writeBigUInt64LE(value, at);
      hash = fnv(fnv(hash, page.readUInt32LE(at)), page.readUInt32LE(at + 4));
    }
    page.writeUInt32LE(number, 0);
    page.writeUInt32LE(index, 4);
    page.writeUInt32LE(0, 8);
    page.writeUInt32LE(hash, 12);
  }

  /** The last transaction of a session, and that number times the session's own odd one. */
  erpCommit(table: number, session: number, number: number): void {
    const page = this.page(table);
    const factor = Math.imul(2 * session + 1, 0x9e3779b1);
    page.writeUInt32LE(number, session * 16);
    page.writeUInt32LE(Math.imul(number, factor) >>> 0, session * 16 + 4);
  }

  private page(pfn: number): Buffer {
    this.written.add(pfn);
    return this.ram.subarray(pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
  }
}

export interface StreamRing {
  readonly first: number;
  readonly pages: number;
  readonly framePages: number;
  readonly changedBytes: number;
}

const WORD = (1n << 64n) - 1n;

/** The noise of a page: splitmix64 says where xorshift64 begins. */
function* noise(seed: number, pfn: number): Generator<bigint, never> {
  let x = (((BigInt(seed) << 32n) | BigInt(pfn)) + 0x9e3779b97f4a7c15n) & WORD;
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & WORD;
  x = (x ^ (x >> 31n)) | 1n;
  for (;;) {
    x ^= (x << 13n) & WORD;
    x ^= x >> 7n;
    x ^= (x << 17n) & WORD;
    yield x;
  }
}

function fnv(hash: number, word: number): number {
  return Math.imul(hash ^ word, 0x01000193) >>> 0;
}
