import { BACKLOG_REGION, type BoardBlock } from '../board-block.ts';
import type { SerialRing } from './serial-ring.ts';
import type { UartState } from './uart-state.ts';

/** The UART's receiver: its FIFO, filled from the backlog and then from the input ring. */
export class Receiver {
  private readonly state: UartState;
  private readonly backlog: Uint8Array;
  private readonly input: SerialRing;

  constructor(state: UartState, block: BoardBlock, input: SerialRing) {
    this.state = state;
    const { byte, bytes } = BACKLOG_REGION;
    this.backlog = block.bytes.subarray(byte, byte + bytes);
    this.input = input;
  }

  /** Fills the FIFO from what waits; the rest goes on waiting, so nothing is lost here. */
  fill(depth: number): void {
    const room = depth - this.state.receivedCount;
    if (room <= 0 || (this.state.backlogCount === 0 && this.input.length === 0)) return;
    const older = this.takeBacklog(room);
    const newer = this.input.pull(room - older.length).bytes;
    for (const byte of [...older, ...newer]) this.append(byte);
  }

  take(): number | undefined {
    const { state } = this;
    const count = state.receivedCount;
    if (count === 0) return undefined;
    const byte = state.receiveFifo[0];
    state.receiveFifo.copyWithin(0, 1, count);
    state.receivedCount = count - 1;
    return byte;
  }

  /** A byte that the UART itself has sent: nobody holds it back. */
  loop(byte: number, depth: number): void {
    if (this.state.receivedCount < depth) this.append(byte);
    else this.state.isOverrun = true;
  }

  clear(): void {
    this.state.receivedCount = 0;
  }

  private append(byte: number): void {
    const count = this.state.receivedCount;
    this.state.receiveFifo[count] = byte;
    this.state.receivedCount = count + 1;
  }

  private takeBacklog(max: number): Uint8Array {
    const count = this.state.backlogCount;
    const taken = this.backlog.slice(0, Math.min(max, count));
    this.backlog.copyWithin(0, taken.length, count);
    this.state.backlogCount = count - taken.length;
    return taken;
  }
}

/**
 * The input that nobody has read yet, to go with the guest. `isCut`: there is more than fits, and
 * the guest shall hear of it as of any overrun.
 */
export function waitingInput(
  block: BoardBlock,
  backlogCount: number,
  input: SerialRing,
): { readonly bytes: Uint8Array; readonly isCut: boolean } {
  const { byte, bytes } = BACKLOG_REGION;
  const waiting = Buffer.concat([
    block.bytes.subarray(byte, byte + backlogCount),
    input.peek(input.length),
  ]);
  return { bytes: waiting.subarray(0, bytes), isCut: waiting.length > bytes };
}
