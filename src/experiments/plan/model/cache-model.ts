import { PAGE_BYTES } from '../../../base/index.ts';
import type { RamBlockDescription } from '../../../guestmem/index.ts';

/**
 * The XBZRLE cache without its pages: which ones it would hold. The rules are those of
 * `src/guestmem/kernels/xbzrle-cache.ts`, a cache for each RAM block.
 */
export class CacheModel {
  private readonly blocks: readonly {
    readonly firstPfn: number;
    readonly endPfn: number;
    readonly sets: number;
    readonly tags: Uint32Array;
    readonly ages: Uint32Array;
  }[];

  constructor(ramBlocks: readonly RamBlockDescription[], cacheBytes: number) {
    const pageCount = ramBlocks.reduce((pages, { bytes }) => pages + bytes / PAGE_BYTES, 0);
    const wanted = cacheBytes / PAGE_BYTES;
    let firstPfn = 0;
    this.blocks = ramBlocks.map(({ bytes }) => {
      const pages = bytes / PAGE_BYTES;
      const share = Math.max(2, Math.floor((wanted * pages) / pageCount));
      const sets = Math.floor(Math.min(share, pages + 2) / 2);
      const block = {
        firstPfn,
        endPfn: firstPfn + pages,
        sets,
        tags: new Uint32Array(sets * 2),
        ages: new Uint32Array(sets * 2),
      };
      firstPfn += pages;
      return block;
    });
  }

  /** Looks the page up and takes it in if it may; true when it was there. */
  look(pfn: number, age: number): boolean {
    const block = this.blocks.find(({ endPfn }) => pfn < endPfn);
    if (block === undefined) return false;
    const { tags, ages } = block;
    const local = pfn - block.firstPfn;
    const first = (local % block.sets) * 2;
    const found =
      tags[first] === local + 1 ? first : tags[first + 1] === local + 1 ? first + 1 : -1;
    if (found >= 0) {
      ages[found] = age;
      return true;
    }
    let way = first;
    const [tag, other] = [tags[first], tags[first + 1]];
    if (tag !== 0 && (other === 0 || (ages[first + 1] as number) < (ages[first] as number))) {
      way = first + 1;
    }
    if (tags[way] !== 0 && (ages[way] as number) + 2 > age) return false;
    tags[way] = local + 1;
    ages[way] = age;
    return false;
  }

  /** Only looks. */
  holds(pfn: number): boolean {
    const block = this.blocks.find(({ endPfn }) => pfn < endPfn);
    if (block === undefined) return false;
    const local = pfn - block.firstPfn;
    const first = (local % block.sets) * 2;
    return block.tags[first] === local + 1 || block.tags[first + 1] === local + 1;
  }
}
