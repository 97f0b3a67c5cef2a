import type { BoardBlock } from '../board-block.ts';
import { Receiver } from './receiver.ts';
import type { SerialOutput, SerialRing } from './serial-ring.ts';
import { Transmitter } from './transmitter.ts';
import { FCR, FIFO_BYTES, IER, LCR, MCR, MODEM_DELTA, SCR, UartState } from './uart-state.ts';

const DLAB = 0x80;
const LOOPBACK = 0x10;
const FIFO_ENABLE = 0x01;

const IER_RECEIVED = 1;
const IER_EMPTY = 2;
const IER_LINE = 4;
const IER_MODEM = 8;

const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_EMPTY = 0x02;
const IIR_RECEIVED = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;

/** Carrier, data set ready, clear to send: a cable with somebody at its other end. */
const MODEM_LINES = 0xb0;
/** From how many bytes on the FIFO interrupts, by the upper bits of FCR. */
const TRIGGERS = [1, 4, 8, 14] as const;

/**
 * A 16550A. Byte registers 0 to 7; the rest of its window reads zero. The line is as fast as the
 * rings: what is transmitted is in the output ring at once, and when that is full, the FIFO fills
 * and the transmitter says that it is busy until somebody makes room (`pump`).
 */
export class Uart {
  private readonly state: UartState;
  private readonly receiver: Receiver;
  private readonly transmitter: Transmitter;

  constructor(block: BoardBlock, input: SerialRing, output: SerialOutput) {
    this.state = new UartState(block);
    this.receiver = new Receiver(this.state, block, input);
    this.transmitter = new Transmitter(this.state, output);
  }

  /** The level of its interrupt line. */
  get isInterrupting(): boolean {
    return this.interruptId() !== IIR_NONE;
  }

  read(offset: number): number {
    const { state } = this;
    const isLatched = (state.get(LCR) & DLAB) !== 0;
    switch (offset) {
      case 0:
        return isLatched ? state.divisor & 0xff : this.receive();
      case 1:
        return isLatched ? state.divisor >> 8 : state.get(IER);
      case 2:
        return this.identify();
      case 3:
        return state.get(LCR);
      case 4:
        return state.get(MCR);
      case 5:
        return this.lineStatus();
      case 6:
        return this.modemStatus();
      case 7:
        return state.get(SCR);
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    const { state } = this;
    const byte = value & 0xff;
    const isLatched = (state.get(LCR) & DLAB) !== 0;
    if (offset === 0 && isLatched) state.divisor = (state.divisor & 0xff00) | byte;
    else if (offset === 0) this.transmit(byte);
    else if (offset === 1 && isLatched) state.divisor = (state.divisor & 0xff) | (byte << 8);
    else if (offset === 1) this.enableInterrupts(byte & 0x0f);
    else if (offset === 2) this.controlFifos(byte);
    else if (offset === 3) state.set(LCR, byte);
    else if (offset === 4) this.controlModem(byte & 0x1f);
    else if (offset === 7) state.set(SCR, byte);
  }

  /** Moves what can move between FIFOs and rings. */
  pump(): void {
    this.transmitter.drain();
    if (!this.isLoopback) this.receiver.fill(this.depth);
  }

  /** A byte around the registers, for the firmware's console. False: there is no room. */
  print(byte: number): boolean {
    this.transmitter.drain();
    return this.transmitter.print(byte);
  }

  /** The next byte around the registers, or undefined. */
  take(): number | undefined {
    this.pump();
    return this.receiver.take();
  }

  reset(): void {
    this.state.reset();
  }

  private get isFifo(): boolean {
    return (this.state.get(FCR) & FIFO_ENABLE) !== 0;
  }

  private get depth(): number {
    return this.isFifo ? FIFO_BYTES : 1;
  }

  private get isLoopback(): boolean {
    return (this.state.get(MCR) & LOOPBACK) !== 0;
  }

  private receive(): number {
    const byte = this.receiver.take() ?? 0;
    this.pump();
    return byte;
  }

  private transmit(byte: number): void {
    if (this.isLoopback) {
      this.receiver.loop(byte, this.depth);
      this.state.isEmptyPending = true;
    } else this.transmitter.send(byte, this.depth);
  }

  /** A driver that enables it while the transmitter is empty expects the interrupt at once. */
  private enableInterrupts(enabled: number): void {
    const isNew = (enabled & ~this.state.get(IER) & IER_EMPTY) !== 0;
    this.state.set(IER, enabled);
    if (isNew && this.transmitter.isEmpty) this.state.isEmptyPending = true;
  }

  private controlFifos(value: number): void {
    const isToggled = ((value & FIFO_ENABLE) !== 0) !== this.isFifo;
    this.state.set(FCR, (value & FIFO_ENABLE) === 0 ? 0 : value & 0xc1);
    if (isToggled || (value & 2) !== 0) this.receiver.clear();
    if (isToggled || (value & 4) !== 0) this.transmitter.clear();
    this.pump();
  }

  private controlModem(value: number): void {
    const before = this.modemLines();
    this.state.set(MCR, value);
    const after = this.modemLines();
    // The ring indicator counts when it ends, the others whenever they change.
    const changed = ((before ^ after) & 0xb0) | (before & ~after & 0x40);
    this.state.set(MODEM_DELTA, this.state.get(MODEM_DELTA) | (changed >> 4));
    this.pump();
  }

  /** In loopback the outputs are wired to the inputs: RTS-CTS, DTR-DSR, OUT1-RI, OUT2-DCD. */
  private modemLines(): number {
    if (!this.isLoopback) return MODEM_LINES;
    const outputs = this.state.get(MCR);
    return (
      ((outputs & 2) << 3) | ((outputs & 1) << 5) | ((outputs & 4) << 4) | ((outputs & 8) << 4)
    );
  }

  private modemStatus(): number {
    const status = this.modemLines() | this.state.get(MODEM_DELTA);
    this.state.set(MODEM_DELTA, 0);
    return status;
  }

  private lineStatus(): number {
    this.pump();
    const received = this.state.receivedCount > 0 ? 0x01 : 0;
    const overrun = this.state.isOverrun ? 0x02 : 0;
    this.state.isOverrun = false;
    return received | overrun | (this.transmitter.isEmpty ? 0x60 : 0);
  }

  /** Reading it acknowledges an empty transmitter, when that is what it tells. */
  private identify(): number {
    const id = this.interruptId();
    if (id === IIR_EMPTY) this.state.isEmptyPending = false;
    return id | (this.isFifo ? 0xc0 : 0);
  }

  private interruptId(): number {
    const { state } = this;
    const enabled = state.get(IER);
    const received = state.receivedCount;
    if ((enabled & IER_LINE) !== 0 && state.isOverrun) return IIR_LINE;
    if ((enabled & IER_RECEIVED) !== 0 && received > 0) {
      // Below the trigger real hardware waits four characters; on this line they are over.
      return !this.isFifo || received >= this.trigger() ? IIR_RECEIVED : IIR_TIMEOUT;
    }
    if ((enabled & IER_EMPTY) !== 0 && state.isEmptyPending) return IIR_EMPTY;
    if ((enabled & IER_MODEM) !== 0 && state.get(MODEM_DELTA) !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  private trigger(): number {
    return TRIGGERS[this.state.get(FCR) >> 6] ?? 1;
  }
}
