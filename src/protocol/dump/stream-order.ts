import { SternaError } from '../../base/index.ts';
import { nextState } from '../conversation.ts';
import {
  DESTINATION_ACCEPTS,
  DESTINATION_OWES,
  DESTINATION_SENDS,
  type DestinationState,
} from '../conversation-destination.ts';
import type { MessageName } from '../message-types.ts';
import type { HelloBody, JoinBody, JoinRole, SwitchoverBody } from '../messages/index.ts';
import type { PageEntry } from '../page-batch.ts';

/**
 * Holds one direction of a conversation (what the source sent) against the destination's table,
 * the destination's answers being supposed, and against what the stream itself said earlier.
 */
export class StreamOrder {
  private state: DestinationState = 'connected';
  private blockPages: readonly number[] = [];
  private batches = 0;
  private duplex = true;
  private role: JoinRole | undefined;
  private missesPages = false;

  /** An error when `name` must not come now. */
  message(name: MessageName): SternaError | undefined {
    this.answer();
    const next = nextState(DESTINATION_ACCEPTS, this.state, name);
    if (next instanceof SternaError) return next;
    this.state = next;
    if (name === 'PAGE_BATCH') this.batches += 1;
    return undefined;
  }

  hello(body: HelloBody): void {
    this.duplex = body.duplex;
    this.blockPages = body.machine.ramBlocks.map((block) => block.bytes / body.pageBytes);
  }

  join(body: JoinBody): void {
    this.role = body.role;
  }

  switchover(body: SwitchoverBody): SternaError | undefined {
    this.missesPages = body.missingPages !== undefined;
    const pages = this.blockPages.reduce((total, count) => total + count, 0);
    if (body.batches !== this.batches) {
      return disagreement('SWITCHOVER counts other batches', body.batches, this.batches);
    }
    return body.pages === pages
      ? undefined
      : disagreement('SWITCHOVER counts other pages', body.pages, pages);
  }

  /** 0 for a block that HELLO did not announce. */
  pagesOf(block: number): number {
    return this.blockPages[block] ?? 0;
  }

  pages(block: number, entries: readonly PageEntry[]): SternaError | undefined {
    for (const entry of entries) {
      const count = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
      const error = this.range(block, entry.pfn, count);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  /** An error unless HELLO announced all of these pages. */
  range(block: number, firstPfn: number, count: number): SternaError | undefined {
    const pages = this.blockPages[block];
    if (pages === undefined) {
      return disagreement('Block was not announced', block, this.blockPages.length);
    }
    return firstPfn + count <= pages
      ? undefined
      : disagreement('Page is beyond its block', firstPfn + count - 1, pages);
  }

  /** The stream ended between two frames: an error unless the conversation had ended, too. */
  end(): SternaError | undefined {
    this.answer();
    if (['ended', 'cancelled', 'failed'].includes(this.state)) return undefined;
    // GRANT is the last message of a file: there is nobody to say goodbye to.
    if (!this.duplex && this.state === 'resumed') return undefined;
    return new SternaError('E_PROTOCOL_TRUNCATED', `Stream ended in state ${this.state}`, {
      detail: { state: this.state },
    });
  }

  /** What the destination must have said before the source could go on. */
  private answer(): void {
    for (let owed = this.owed(); owed !== undefined; owed = this.owed()) {
      const next = DESTINATION_SENDS[this.state][owed];
      if (next === undefined) return;
      this.state = next;
    }
  }

  private owed(): MessageName | undefined {
    if (this.state === 'granted' && this.missesPages) return 'POSTCOPY_RESUMED';
    if (this.state === 'joined') return this.role === 'recover' ? 'RECOVERY' : 'ATTACHED';
    return DESTINATION_OWES[this.state];
  }
}

function disagreement(problem: string, found: number, expected: number): SternaError {
  return new SternaError('E_PROTOCOL_BAD_BODY', problem, { detail: { found, expected } });
}
