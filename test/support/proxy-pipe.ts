import type { Socket } from 'node:net';
import type { ProxyDirection } from './proxy-direction.ts';

/** A piece is at most 2 ms of wire, so that the limited rate is smooth, within these bounds. */
const PIECE_MS = 2;
const PIECE_BYTES_MIN = 1024;
const PIECE_BYTES_MAX = 65_536;
/**
 * More than this in the proxy and it stops reading. With a delay the pipe itself holds that much
 * more.
 */
const QUEUE_BYTES_MAX = 2 ** 18;
const DELAY_QUEUE_BYTES_MAX = 2 ** 26;

interface Chunk {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

/** Forwards one direction of one connection. */
export class ProxyPipe {
  private readonly from: Socket;
  private readonly to: Socket;
  private readonly direction: ProxyDirection;
  private readonly cut: () => void;
  private readonly queue: Chunk[] = [];
  private queuedBytes = 0;
  private offset = 0;
  private pumping = false;
  private ended = false;
  private stalledOnce = false;

  constructor(from: Socket, to: Socket, direction: ProxyDirection, cut: () => void) {
    this.from = from;
    this.to = to;
    this.direction = direction;
    this.cut = cut;
    from.on('data', (bytes: Buffer) => this.take(bytes));
    from.on('end', () => {
      this.ended = true;
      void this.pump();
    });
  }

  private take(bytes: Buffer): void {
    const { direction } = this;
    direction.receivedBytes += bytes.length;
    const delayMs = direction.faults.delayMs ?? 0;
    this.queue.push({ bytes, dueMs: direction.clock.nowMs() + delayMs });
    this.queuedBytes += bytes.length;
    const limitBytes = delayMs > 0 ? DELAY_QUEUE_BYTES_MAX : QUEUE_BYTES_MAX;
    if (this.queuedBytes > limitBytes) this.from.pause();
    void this.pump();
  }

  private async pump(): Promise<void> {
    if (this.pumping) return;
    this.pumping = true;
    for (let chunk = this.queue.shift(); chunk !== undefined; chunk = this.queue.shift()) {
      await this.waitUntil(chunk.dueMs);
      await this.forward(chunk);
      this.queuedBytes -= chunk.bytes.length;
      if (!this.from.destroyed) this.from.resume();
    }
    this.pumping = false;
    if (this.ended) this.to.end();
  }

  /** A timer counts whole milliseconds and may fire early by a part of one; a delay may not. */
  private async waitUntil(dueMs: number): Promise<void> {
    const { clock } = this.direction;
    for (let ms = dueMs - clock.nowMs(); ms > 0; ms = dueMs - clock.nowMs()) await clock.sleep(ms);
  }

  private async forward({ bytes, dueMs }: Chunk): Promise<void> {
    const { direction } = this;
    for (let at = 0; at < bytes.length && !this.to.destroyed; ) {
      await direction.passable();
      const cutBytes = direction.faults.cutAfterBytes ?? Number.POSITIVE_INFINITY;
      const stallBytes = direction.faults.stallAfterBytes ?? Number.POSITIVE_INFINITY;
      const untilStall = this.stalledOnce ? Number.POSITIVE_INFINITY : stallBytes - this.offset;
      const untilFault = Math.max(0, Math.min(cutBytes - this.offset, untilStall));
      const piece = bytes.subarray(at, at + Math.min(this.pieceBytes(), untilFault));
      at += piece.length;
      if (piece.length > 0) await this.write(piece, dueMs);
      if (this.offset >= stallBytes && !this.stalledOnce) {
        this.stalledOnce = true;
        direction.stall();
      }
      if (this.offset >= cutBytes) {
        this.breakOff();
        return;
      }
    }
  }

  private async write(piece: Buffer, availableMs: number): Promise<void> {
    const { direction, to } = this;
    await this.waitUntil(direction.occupy(piece.length, availableMs));
    const at = (direction.faults.corruptAtByte ?? -1) - this.offset;
    if (at >= 0 && at < piece.length) piece[at] = (piece[at] ?? 0) ^ 0x10;
    this.offset += piece.length;
    await new Promise<void>((resolve) => to.write(piece, () => resolve()));
    direction.forwarded(piece);
  }

  private breakOff(): void {
    if (this.direction.faults.cutWith === 'end') {
      this.to.end();
      this.from.destroy();
    } else {
      this.cut();
    }
  }

  private pieceBytes(): number {
    const { pieceBytes, bandwidthBytesPerSecond: rate = 0 } = this.direction.faults;
    if (pieceBytes !== undefined) return pieceBytes();
    if (rate === 0) return PIECE_BYTES_MAX;
    const smooth = Math.floor((rate * PIECE_MS) / 1000);
    return Math.max(PIECE_BYTES_MIN, Math.min(PIECE_BYTES_MAX, smooth));
  }
}
