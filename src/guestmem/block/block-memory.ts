import { SternaError } from '../../base/index.ts';
import type { BlockLayout } from './block-layout.ts';

/** Zeroed memory for a block; nothing of it is resident until it is touched. Throws E_NO_MEMORY. */
export function allocateBlockMemory(layout: BlockLayout): WebAssembly.Memory {
  const pages = layout.memoryBytes / 2 ** 16;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new SternaError('E_NO_MEMORY', `RAM block ${layout.name} cannot be allocated`, {
      cause,
      detail: { memoryBytes: layout.memoryBytes },
    });
  }
}
