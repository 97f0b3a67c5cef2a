import { assert, BATCH_PAGES_MAX } from '../../base/index.ts';
import { ORDER_ORDERED, ORDER_WEIGHING, type PageKernels } from '../page-kernels.ts';
import { KERNEL_STATE, ORDER_BUCKETS, RESULTS } from './block-layout.ts';
import type { TakenPages } from './kernel-results.ts';

/** Index of u32 from KERNEL_STATE; as in kernels/context.ts. */
const BUCKET_COUNTS = 16;
const NO_BUCKET = 0xff;

/**
 * The order in which a pass sends the pages of one block. While a pass is ordered, each sync raises
 * the weights of the pages that it sees dirtied, and those that are still to be sent move to the
 * buckets of their new weights. What is dirty stays in the dirty bitmap.
 */
export class BlockOrder {
  private readonly kernels: PageKernels;
  private readonly state: Uint32Array;
  private readonly results: Uint32Array;

  constructor(memory: WebAssembly.Memory, kernels: PageKernels) {
    this.kernels = kernels;
    this.state = new Uint32Array(memory.buffer, KERNEL_STATE, 64);
    this.results = new Uint32Array(memory.buffer, RESULTS, 1);
  }

  /** The pages that are dirty now are to be sent: by weight, or all in one bucket, ascending. */
  begin(byWeight: boolean): void {
    this.kernels.beginOrder(ORDER_WEIGHING | (byWeight ? ORDER_ORDERED : 0));
  }

  /** Syncs weigh nothing any more. */
  end(): void {
    this.kernels.endOrder();
  }

  /** Lowest bucket with a page to be sent; undefined: none is left. */
  get coldest(): number | undefined {
    const bucket = this.kernels.coldestBucket();
    return bucket === NO_BUCKET ? undefined : bucket;
  }

  /** Pages to be sent, by bucket. */
  get pendingByBucket(): readonly number[] {
    return [...this.state.subarray(BUCKET_COUNTS, BUCKET_COUNTS + ORDER_BUCKETS)];
  }

  /**
   * Moves up to `max` pages to the list of the next gather, the coldest bucket first, and within it
   * from page `from` on; they are not dirty after that. `next` is where to go on.
   */
  take(from: number, max: number): TakenPages {
    assert(max <= BATCH_PAGES_MAX, 'A batch holds the pages that are taken');
    const count = this.kernels.takeColdest(from, max, 0);
    return { count, next: this.results[0] ?? 0 };
  }

  /** Halves all weights. */
  halve(): void {
    this.kernels.halveWeights();
  }

  /** Different pages that were seen dirtied since the last call, while a pass was ordered. */
  takeWritten(): number {
    return this.kernels.takeWritten();
  }
}
