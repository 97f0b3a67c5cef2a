import { PAGE_BYTES, type Random } from '../../base/index.ts';
import type { RamBlock } from '../block/ram-block.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { lz4Size } from './lz4-size.ts';
import type { ChangeSample, ContentSample } from './trace.ts';

/** A MiB of copies. */
const KEPT_PAGES_MAX = 256;
/** A copy is compared over up to so many intervals, so that short and long lags are both seen. */
const LAG_MAX = 32;

interface KeptPage {
  readonly copy: Uint8Array;
  readonly interval: number;
  /** Compared at every look until it is so old; then the page as it is takes its place. */
  readonly lagMax: number;
}

/**
 * Tells in what way pages change, from copies of a few of them. The guest runs, so a copy may be
 * half new: it is an estimate, and nothing of it is sent anywhere.
 *
 * It works in a staging slot of the block, so no migration may run meanwhile.
 */
export class ChangeSampler {
  private readonly memory: GuestMemory;
  private readonly random: Random;
  private readonly samplesMax: number;
  private readonly kept = new Map<number, KeptPage>();

  /** `samplesMax`: pages that are compared, and copied anew, in one interval. */
  constructor(memory: GuestMemory, random: Random, samplesMax: number) {
    this.memory = memory;
    this.random = random;
    this.samplesMax = samplesMax;
  }

  /** Some of the pages that ever held something. */
  contents(populated: Uint32Array, count: number): ContentSample[] {
    if (populated.length === 0) return [];
    const picked = new Set<number>();
    for (let turn = 0; turn < count; turn += 1) {
      picked.add(populated[this.random.below(populated.length)] as number);
    }
    return [...picked]
      .sort((first, second) => first - second)
      .map((pfn) => ({ pfn, lz4Bytes: contentBytes(this.copyOf(pfn)) }));
  }

  /** `pages` were dirtied in `interval`, ascending. */
  sample(pages: Uint32Array, interval: number): ChangeSample[] {
    const dirtied = this.keptAmong(pages);
    const changes = dirtied.map(([pfn, before]) => {
      const now = this.copyOf(pfn);
      if (interval - before.interval >= before.lagMax) this.keep(pfn, now, interval);
      return { pfn, lag: interval - before.interval, ...this.compare(pfn, before.copy, now) };
    });
    this.takeNewPages(pages, interval);
    return changes;
  }

  private keptAmong(pages: Uint32Array): [number, KeptPage][] {
    const found = [...this.kept].filter(([pfn]) => includes(pages, pfn));
    // A random few: the oldest would be the coldest.
    for (let at = 0; at < Math.min(this.samplesMax, found.length); at += 1) {
      const other = at + this.random.below(found.length - at);
      const swapped = found[at] as [number, KeptPage];
      found[at] = found[other] as [number, KeptPage];
      found[other] = swapped;
    }
    return found.slice(0, this.samplesMax);
  }

  private takeNewPages(pages: Uint32Array, interval: number): void {
    for (let turn = 0; turn < Math.min(this.samplesMax, pages.length); turn += 1) {
      const pfn = pages[this.random.below(pages.length)] as number;
      if (this.kept.has(pfn)) continue;
      if (this.kept.size >= KEPT_PAGES_MAX) this.dropOne();
      this.keep(pfn, this.copyOf(pfn), interval);
    }
  }

  private dropOne(): void {
    let left = this.random.below(this.kept.size);
    for (const pfn of this.kept.keys()) {
      if (left === 0) {
        this.kept.delete(pfn);
        return;
      }
      left -= 1;
    }
  }

  private keep(pfn: number, copy: Uint8Array, interval: number): void {
    this.kept.set(pfn, { copy, interval, lagMax: 1 + this.random.below(LAG_MAX) });
  }

  private compare(
    pfn: number,
    before: Uint8Array,
    now: Uint8Array,
  ): Omit<ChangeSample, 'pfn' | 'lag'> {
    const { bytes, kernels, layout } = this.block(pfn);
    const [old, fresh, delta] = [0, 1, 2].map((page) => layout.slots + page * PAGE_BYTES) as [
      number,
      number,
      number,
    ];
    bytes.set(before, old);
    bytes.set(now, fresh);
    const length = kernels.xbzrleEncode(old, fresh, delta, PAGE_BYTES);
    const fits = length >= 0 && length < PAGE_BYTES;
    const xbzrleBytes = fits ? length : PAGE_BYTES;
    return {
      changedBytes: changedBytes(before, now),
      xbzrleBytes,
      lz4Bytes: contentBytes(now),
      deltaLz4Bytes: fits ? lz4Size(bytes.subarray(delta, delta + length)) : PAGE_BYTES,
    };
  }

  private copyOf(pfn: number): Uint8Array {
    const { bytes, layout } = this.block(pfn);
    const at = layout.ram + (pfn - layout.firstPfn) * PAGE_BYTES;
    return Uint8Array.from(bytes.subarray(at, at + PAGE_BYTES));
  }

  private block(pfn: number): RamBlock {
    const found = this.memory.locate(pfn * PAGE_BYTES);
    // Pages of a sample are of this guest.
    return (found as { readonly block: RamBlock }).block;
  }
}

function contentBytes(page: Uint8Array): number {
  return page.every((byte) => byte === 0) ? 0 : lz4Size(page);
}

function changedBytes(before: Uint8Array, now: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < PAGE_BYTES; at += 1) if (before[at] !== now[at]) count += 1;
  return count;
}

/** `pages` are ascending. */
function includes(pages: Uint32Array, pfn: number): boolean {
  let [from, to] = [0, pages.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((pages[middle] as number) < pfn) from = middle + 1;
    else to = middle;
  }
  return pages[from] === pfn;
}
