import type { MigrationParameters } from '../../src/base/index.ts';
import { decodePageTable, MESSAGE_TYPES, type PageEntry } from '../../src/protocol/index.ts';
import { EnginePair, type PairOptions, type PairResult } from './engine-pair.ts';
import { fillGuest } from './guest-script.ts';

/** A page by block and number. */
export type PageAt = readonly [block: number, pfn: number];

export interface PostcopyOptions extends Omit<PairOptions, 'parameters'> {
  readonly parameters?: Partial<MigrationParameters>;
  /** Pages that the guest holds. */
  readonly pages?: number;
}

/** A link on which some 300 pages take about 60 ms. */
export const SLOW_LINK = { bandwidthBytesPerSecond: 20e6, latencyMs: 0.1 };

/** A pair that migrates in post-copy, with further connections, and what was sent in it. */
export class PostcopyPair extends EnginePair {
  /** Pages in the order in which the source sent them on its first connection after GRANT. */
  readonly pushed: PageAt[] = [];
  /** As what each of them went. */
  readonly pushedKinds: PageEntry['kind'][] = [];

  constructor(options: PostcopyOptions = {}) {
    super({
      connect: () => {},
      link: SLOW_LINK,
      ...options,
      parameters: { mode: 'postcopy', stallTimeoutMs: 1000, ...options.parameters },
    });
    fillGuest(this.machine, options.pages);
    this.sourceChannel.onSlot = (frame, body) => {
      if (frame.type !== MESSAGE_TYPES.PAGE_BATCH || !this.frames['a-to-b'].includes('GRANT'))
        return;
      const table = decodePageTable(body, frame.checkedBytes);
      if (table.kind === 'malformed') throw table.error;
      this.pushed.push(...table.body.map(({ pfn }): PageAt => [frame.block, pfn]));
      this.pushedKinds.push(...table.body.map(({ kind }) => kind));
    };
  }

  /** The order in which the source sent the page after GRANT; -1: it did not. */
  orderOf([block, pfn]: PageAt): number {
    return this.pushed.findIndex(([other, page]) => other === block && page === pfn);
  }
}

/** Runs a pair to its end. */
export async function postcopy(
  options: PostcopyOptions = {},
): Promise<{ readonly pair: PostcopyPair; readonly result: PairResult }> {
  const pair = new PostcopyPair(options);
  return { pair, result: await pair.run() };
}
