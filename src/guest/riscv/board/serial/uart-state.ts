import { type BoardBlock, UART_REGION } from '../board-block.ts';

export const FIFO_BYTES = 16;

/** Words of the region that are byte registers. */
export const IER = 0;
export const FCR = 1;
export const LCR = 2;
export const MCR = 3;
export const MODEM_DELTA = 4;
export const SCR = 5;
const DIVISOR = 6;
const EMPTY_PENDING = 7;
const OVERRUN = 8;
const RECEIVED = 9;
const SENT = 10;
const BACKLOG = 11;
const RECEIVE_FIFO_BYTE = 64;
const SEND_FIFO_BYTE = 80;
const WORDS_USED = 12;

type ByteRegister = 0 | 1 | 2 | 3 | 4 | 5;

/**
 * The UART's part of the board block:
 *
 *   word 0 IER · 1 FCR · 2 LCR · 3 MCR · 4 changes of the modem's lines · 5 SCR · 6 divisor
 *   · 7 1: the empty transmitter has not been acknowledged · 8 1: input was lost
 *   · 9 bytes in the receiver's FIFO · 10 in the transmitter's · 11 in the backlog · 12 zero
 *   · byte 64 receiver's FIFO, 16 · 80 transmitter's FIFO, 16 · rest zero
 */
export class UartState {
  readonly receiveFifo: Uint8Array;
  readonly sendFifo: Uint8Array;
  private readonly words: Uint32Array;

  constructor(block: BoardBlock) {
    const { byte } = UART_REGION;
    this.words = block.region(UART_REGION);
    this.receiveFifo = block.bytes.subarray(byte + RECEIVE_FIFO_BYTE, byte + SEND_FIFO_BYTE);
    const end = byte + SEND_FIFO_BYTE + FIFO_BYTES;
    this.sendFifo = block.bytes.subarray(byte + SEND_FIFO_BYTE, end);
  }

  get(register: ByteRegister): number {
    return this.words[register] ?? 0;
  }

  set(register: ByteRegister, byte: number): void {
    this.words[register] = byte;
  }

  get divisor(): number {
    return this.words[DIVISOR] ?? 0;
  }

  set divisor(value: number) {
    this.words[DIVISOR] = value;
  }

  get isEmptyPending(): boolean {
    return this.words[EMPTY_PENDING] === 1;
  }

  set isEmptyPending(value: boolean) {
    this.words[EMPTY_PENDING] = value ? 1 : 0;
  }

  get isOverrun(): boolean {
    return this.words[OVERRUN] === 1;
  }

  set isOverrun(value: boolean) {
    this.words[OVERRUN] = value ? 1 : 0;
  }

  get receivedCount(): number {
    return this.words[RECEIVED] ?? 0;
  }

  set receivedCount(count: number) {
    this.words[RECEIVED] = count;
  }

  get sendCount(): number {
    return this.words[SENT] ?? 0;
  }

  set sendCount(count: number) {
    this.words[SENT] = count;
  }

  get backlogCount(): number {
    return this.words[BACKLOG] ?? 0;
  }

  set backlogCount(count: number) {
    this.words[BACKLOG] = count;
  }

  /** What a guest's reset does. Input that nobody has read stays, as on a real line. */
  reset(): void {
    const backlog = this.backlogCount;
    this.words.fill(0);
    this.backlogCount = backlog;
  }
}

/** Why these words cannot be a UART's state, or undefined. */
export function uartDefect(words: Uint32Array, backlogBytes: number): string | undefined {
  const word = (index: number) => words[index] ?? 0;
  const masks = [0x0f, 0xc1, 0xff, 0x1f, 0x0f, 0xff, 0xffff, 1, 1];
  const wrong = masks.findIndex((mask, index) => (word(index) & ~mask) !== 0);
  if (wrong >= 0) return `an impossible register ${wrong}`;
  const isFifo = (word(FCR) & 1) !== 0;
  if (!isFifo && word(FCR) !== 0) return 'a FIFO that is off and set up';
  const depth = isFifo ? FIFO_BYTES : 1;
  if (word(RECEIVED) > depth || word(SENT) > depth) return 'a FIFO that holds more than it can';
  if (word(BACKLOG) !== backlogBytes) return 'a backlog of another length';
  const rest = [
    ...words.subarray(WORDS_USED, RECEIVE_FIFO_BYTE / 4),
    ...words.subarray((SEND_FIFO_BYTE + FIFO_BYTES) / 4),
  ];
  return rest.some((value) => value !== 0) ? 'a value where zero is reserved' : undefined;
}
