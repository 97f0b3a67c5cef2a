import { type ControlBlock, FAULT_PAGE, PAUSE_MASK, QUIT_BIT } from './control-block.ts';

/** Only a net under the notification. */
const RECHECK_MS = 100;

/**
 * Blocks the calling vCPU until someone has brought the page: publishes it in FAULT_PAGE, and waits
 * until that word is cleared or the page is there. Whoever serves faults watches PROGRESS, and
 * clears the word after the received map's byte.
 *
 * Meanwhile the vCPU is in the middle of a slice: it neither parks nor flips until the page is
 * there.
 */
export function waitForMissingPage(
  block: ControlBlock,
  vcpu: number,
  pfn: number,
  isPresent: () => boolean,
): void {
  const { words } = block;
  const word = block.vcpuWord(vcpu, FAULT_PAGE);
  // Pairs with the load of whoever serves the fault.
  Atomics.store(words, word, pfn + 1);
  block.announceProgress();
  while (!isPresent()) {
    // Pairs with the or in VcpuControl.quit().
    if (Atomics.load(words, PAUSE_MASK) & QUIT_BIT)
      throw new Error('The vCPU ends while it waits for a page');
    // Pairs with the store and notify of whoever serves the fault.
    Atomics.wait(words, word, pfn + 1, RECHECK_MS);
  }
  Atomics.store(words, word, 0);
}
