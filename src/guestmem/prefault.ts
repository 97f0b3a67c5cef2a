import { Worker } from 'node:worker_threads';
import { workerUrl } from '../base/index.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { RamBlock } from './ram-block.ts';

/** 4 MiB a call: the worker can be terminated between two. */
const STRIDE_PAGES = 1024;

/**
 * Makes the pages of `memory` that are still to come resident, ahead of the stream, in a thread of
 * its own. To be started when the pages that will not come (zero runs) are marked as received, so
 * that a sparse guest stays sparse. Returns a function that ends it; it ends by itself when
 * everything was touched.
 */
export function startPrefault(memory: GuestMemory): () => void {
  const worker = new Worker(workerUrl('prefault', import.meta.url), {
    workerData: { handles: memory.handles() },
  });
  worker.unref();
  // Prefaulting only saves time: the loader touches what it did not.
  worker.on('error', () => {});
  return () => void worker.terminate();
}

export function prefaultBlock(block: RamBlock): void {
  for (let first = 0; first < block.layout.pageCount; first += STRIDE_PAGES) {
    block.kernels.prefault(first, STRIDE_PAGES);
  }
}
