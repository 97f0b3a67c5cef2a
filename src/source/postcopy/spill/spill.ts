import type { GuestMemory, MachineDescription, RamBlock } from '../../../guestmem/index.ts';
import type { PromisedPages } from '../promised-pages.ts';

/** A source's half of a guest: what a new process needs to go on where the old one was lost. */
export interface SourceHalf {
  readonly migrationId: string;
  /** Shown to the destination by connections of the migration. */
  readonly secret: string;
  /** The epoch that was handed over. */
  readonly epoch: number;
  /** How the destination is reached. */
  readonly peer: string;
  readonly machine: MachineDescription;
  /** Frozen: the guest does not run here any more. Only a journal changes it. */
  readonly memory: GuestMemory;
  /** Which pages of it. One that was sent may not have arrived. */
  readonly pages: PromisedPages;
  /**
   * The journal has put a later version in the place of this page, so the destination has it: it is
   * not missing, and what it was is not here any more. More and more pages are, between any two
   * turns. Absent without a journal.
   */
  readonly isReplaced?: (block: RamBlock, pfn: number) => boolean;
}

/**
 * Where the missing pages are kept beside the sending. What it is made of is its owner's choice.
 */
export interface Spill {
  /** For people. */
  readonly path: string;
  /**
   * Resolves when the half would be found after a crash of the host. `wrote` is called after each
   * piece, with its size; between two of them the thread does other work. Rejects when it cannot be
   * kept, and then nothing is left of it; also when it was removed meanwhile.
   */
  write(half: SourceHalf, wrote: (bytes: number) => void): Promise<void>;
  /** Whatever there is of it goes away, at once. Rejects with E_FILE. */
  remove(): Promise<void>;
}
