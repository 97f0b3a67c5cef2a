import { type BoardBlock, EVENT, EVENT_DETAIL } from './board-block.ts';

/** What a guest asks of the one who runs it. */
export type BoardEvent =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'fail'; readonly exitCode: number };

const KINDS = [undefined, 'power-off', 'reset', 'fail'] as const;
export const EVENT_KINDS = KINDS.length;

/**
 * The event word. It stands until the board is reset, crosses with the guest, and the first event
 * wins: a guest that has powered off does nothing more.
 */
export class BoardEvents {
  private readonly block: BoardBlock;
  private readonly onEvent: (event: BoardEvent) => void;

  constructor(block: BoardBlock, onEvent: (event: BoardEvent) => void) {
    this.block = block;
    this.onEvent = onEvent;
  }

  current(): BoardEvent | undefined {
    // Pairs with the store in raise(): the detail is there. Out of range only by a defect.
    const kind = KINDS[Atomics.load(this.block.atomics, EVENT)];
    if (kind === undefined) return undefined;
    return kind === 'fail' ? { kind, exitCode: this.block.words[EVENT_DETAIL] ?? 0 } : { kind };
  }

  /** Under the lock. */
  raise(event: BoardEvent): void {
    if (this.current() !== undefined) return;
    this.block.words[EVENT_DETAIL] = event.kind === 'fail' ? event.exitCode : 0;
    // After the detail. Pairs with the load in current().
    Atomics.store(this.block.atomics, EVENT, KINDS.indexOf(event.kind));
    this.onEvent(event);
  }

  clear(): void {
    this.block.words[EVENT_DETAIL] = 0;
    // Pairs with the load in current().
    Atomics.store(this.block.atomics, EVENT, 0);
  }
}
