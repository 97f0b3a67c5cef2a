import { assert } from '../../base/index.ts';
import { feed, type ReadTarget } from '../frame-reader.ts';

/** One record of TLS. */
const PIECE_BYTES = 16 * 2 ** 10;
/**
 * Node decrypts all that one read of the socket brought, asked or not: 64 KiB, and what was left
 * of a record before.
 */
const HELD_BYTES_MAX = 8 * PIECE_BYTES;

/**
 * Stands between a TLS socket and its reader. A TLS socket must read for its handshake, and cannot
 * stop between two records: what comes before the channel is started is kept here, and what comes
 * after the reader has said stop is dropped.
 */
export class HeldReads implements ReadTarget {
  private readonly target: ReadTarget;
  private readonly overflow: () => void;
  private readonly pieces: Uint8Array[] = [];
  private readonly scratch: () => Uint8Array;
  private heldBytes = 0;
  private state: 'holding' | 'flowing' | 'stopped' = 'holding';
  private tellEnded: (() => void) | undefined;
  /** The next bytes come to the scratch area: node:net asks for a buffer one read ahead. */
  private scratchGiven = false;

  /** `overflow`: more came before the start than any read of the socket could bring. */
  constructor(target: ReadTarget, overflow: () => void) {
    this.target = target;
    this.overflow = overflow;
    let area: Uint8Array | undefined;
    this.scratch = () => {
      area ??= new Uint8Array(PIECE_BYTES);
      return area;
    };
  }

  buffer(): Uint8Array {
    this.scratchGiven = this.state !== 'flowing';
    return this.scratchGiven ? this.scratch() : this.target.buffer();
  }

  callback(byteCount: number): boolean {
    if (this.state === 'holding') return this.hold(byteCount);
    if (this.state === 'flowing' && this.pass(byteCount)) return true;
    this.state = 'stopped';
    return false;
  }

  private pass(byteCount: number): boolean {
    return this.scratchGiven
      ? feed(this.target, this.scratch().subarray(0, byteCount))
      : this.target.callback(byteCount);
  }

  /** The stream ended: `tell` is called behind what is held. */
  ended(tell: () => void): void {
    if (this.state === 'holding') this.tellEnded = tell;
    else tell();
  }

  /** From now on the reader gets everything, first what was held. Idempotent. */
  release(): void {
    if (this.state !== 'holding') return;
    this.state = 'flowing';
    for (const piece of this.pieces.splice(0)) {
      if (!feed(this.target, piece)) {
        this.state = 'stopped';
        break;
      }
    }
    this.tellEnded?.();
  }

  private hold(byteCount: number): boolean {
    assert(byteCount <= PIECE_BYTES, 'A read fits into the buffer that it asked for');
    this.heldBytes += byteCount;
    if (this.heldBytes > HELD_BYTES_MAX) this.overflow();
    else this.pieces.push(this.scratch().slice(0, byteCount));
    return false;
  }
}
