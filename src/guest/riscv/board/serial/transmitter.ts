import type { SerialOutput } from './serial-ring.ts';
import type { UartState } from './uart-state.ts';

/** The UART's transmitter: its FIFO, drained into the output ring. */
export class Transmitter {
  private readonly state: UartState;
  private readonly output: SerialOutput;

  constructor(state: UartState, output: SerialOutput) {
    this.state = state;
    this.output = output;
  }

  get isEmpty(): boolean {
    return this.state.sendCount === 0;
  }

  /** A driver that does not look whether there is room loses the byte, as on hardware. */
  send(byte: number, depth: number): void {
    const { state } = this;
    state.isEmptyPending = false;
    const count = state.sendCount;
    if (count < depth) {
      state.sendFifo[count] = byte;
      state.sendCount = count + 1;
    }
    this.drain();
  }

  drain(): void {
    const { state } = this;
    const count = state.sendCount;
    if (count === 0) return;
    const sent = this.output.push(state.sendFifo.subarray(0, count));
    state.sendFifo.copyWithin(0, sent, count);
    state.sendCount = count - sent;
    if (sent === count) state.isEmptyPending = true;
  }

  /** A byte past the FIFO; false when it would overtake others or finds no room. */
  print(byte: number): boolean {
    return this.isEmpty && this.output.push(Uint8Array.of(byte)) === 1;
  }

  clear(): void {
    if (!this.isEmpty) this.state.isEmptyPending = true;
    this.state.sendCount = 0;
  }
}
