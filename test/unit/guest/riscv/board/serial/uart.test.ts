import { beforeEach, describe, expect, test } from 'vitest';
import { UART } from '../../../../../../src/guest/riscv/board/index.ts';
import { BoardBench } from '../../../../../support/riscv-board.ts';

const RBR = 0;
const THR = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

describe('Uart', () => {
  let bench: BoardBench;
  const read = (register: number) => bench.board.mmioRead(UART.base + register, 1);
  const write = (register: number, value: number) =>
    bench.board.mmioWrite(UART.base + register, 1, value);
  const send = (text: string) => {
    for (const byte of Buffer.from(text)) write(THR, byte);
  };
  const receive = () => {
    let text = '';
    while ((read(LSR) & 1) !== 0) text += String.fromCharCode(read(RBR));
    return text;
  };
  /** What the PLIC sees. */
  const isInterrupting = () => (bench.read32(0x0c00_1000) & (1 << UART.irq)) !== 0;

  beforeEach(() => {
    bench = new BoardBench({}, undefined, 32);
  });

  test('what is written is in the output ring at once', () => {
    send('hello\n');
    expect(read(LSR)).toBe(0x60);
    expect(bench.printed()).toBe('hello\n');
  });

  test('the divisor lies behind DLAB, and the other registers do not', () => {
    write(LCR, 0x83);
    write(0, 0x34);
    write(1, 0x12);
    expect([read(0), read(1)]).toEqual([0x34, 0x12]);
    write(LCR, 0x03);
    expect(read(IER)).toBe(0);
    expect(read(LCR)).toBe(0x03);
    expect(bench.printed()).toBe('');
    write(SCR, 0xa5);
    expect(read(SCR)).toBe(0xa5);
  });

  test('only the bits that exist are kept', () => {
    write(IER, 0xff);
    expect(read(IER)).toBe(0x0f);
    write(MCR, 0xff);
    expect(read(MCR)).toBe(0x1f);
  });

  test('a driver that tells types apart takes it for a 16550A', () => {
    write(FCR, 0x01);
    expect(read(IIR) >> 6).toBe(3);
    write(FCR, 0x00);
    expect(read(IIR) >> 6).toBe(0);
    // A 16750 would say that its FIFO has 64 bytes.
    write(FCR, 0x21);
    expect(read(IIR) >> 5).toBe(6);
  });

  test('enabling the interrupt of an empty transmitter interrupts again and again', () => {
    // What 8250_core does at start to find UARTs that do not.
    write(IER, 2);
    expect(read(IIR)).toBe(0x02);
    expect(read(IIR)).toBe(0x01);
    write(IER, 0);
    write(IER, 2);
    expect(read(IIR)).toBe(0x02);
    write(IER, 0);
    expect(read(IIR)).toBe(0x01);
  });

  test('an interrupt of the transmitter is over when it is read or when a byte follows', () => {
    write(IER, 2);
    expect(isInterrupting()).toBe(true);
    read(IIR);
    send('a');
    expect(read(IIR)).toBe(0x02);
    expect(read(IIR)).toBe(0x01);
  });

  test('a full output ring fills the FIFO, and then the transmitter is busy until there is room', () => {
    write(FCR, 0x01);
    write(IER, 2);
    read(IIR);
    send('x'.repeat(32));
    read(IIR);
    send('0123456789abcdef');
    expect(read(LSR) & 0x60).toBe(0);
    expect(read(IIR) & 0x0f).toBe(0x01);
    send('!');
    const { bytes, producerWaits } = bench.output.pull(20);
    expect(bytes.length).toBe(20);
    expect(producerWaits).toBe(true);
    bench.board.poll();
    expect(read(LSR) & 0x60).toBe(0x60);
    expect(read(IIR) & 0x0f).toBe(0x02);
    // Nobody waits for room in the FIFO: the one too many is lost.
    expect(bench.printed()).toBe(`${'x'.repeat(12)}0123456789abcdef`);
  });

  test('without FIFOs one byte waits', () => {
    send('x'.repeat(33));
    expect(read(LSR) & 0x60).toBe(0);
    bench.output.pull(1);
    expect(read(LSR) & 0x60).toBe(0x60);
  });

  test('input interrupts at the trigger, and below it as what has waited long enough', () => {
    write(FCR, 0x81);
    write(IER, 1);
    bench.type('1234567');
    expect(read(IIR)).toBe(0xcc);
    bench.type('8');
    expect(read(IIR)).toBe(0xc4);
    expect(isInterrupting()).toBe(true);
    expect(receive()).toBe('12345678');
    expect(read(IIR)).toBe(0xc1);
  });

  test('input waits outside until there is room, and none is lost', () => {
    write(FCR, 0x01);
    const text = 'abcdefghijklmnopqrstuvwxyz0123456789';
    bench.type(text);
    expect(bench.input.length).toBe(text.length - 16);
    expect(receive()).toBe(text);
    expect(read(LSR) & 0x02).toBe(0);
  });

  test('changing or clearing the FIFOs empties them', () => {
    write(FCR, 0x01);
    bench.type('ab');
    write(FCR, 0x03);
    expect(receive()).toBe('');
    bench.type('cd');
    write(FCR, 0x00);
    expect(receive()).toBe('');
    send('x'.repeat(33));
    write(FCR, 0x05);
    expect(read(LSR) & 0x60).toBe(0x60);
    expect(bench.printed()).toBe('x'.repeat(32));
  });

  test('loopback wires outputs to inputs and leaves the line alone', () => {
    write(MCR, 0x1a);
    expect(read(MSR) & 0xf0).toBe(0x90);
    write(MCR, 0x15);
    expect(read(MSR) & 0xf0).toBe(0x60);
    bench.type('typed');
    send('l');
    expect(String.fromCharCode(read(RBR))).toBe('l');
    expect(read(LSR) & 1).toBe(0);
    send('12');
    expect(read(LSR)).toBe(0x63);
    expect(read(LSR)).toBe(0x61);
    expect(bench.printed()).toBe('');
    write(MCR, 0);
    read(RBR);
    expect(receive()).toBe('typed');
  });

  test('changes of the lines of the modem are told once, and interrupt', () => {
    expect(read(MSR)).toBe(0xb0);
    write(IER, 8);
    write(MCR, 0x10);
    expect(read(IIR)).toBe(0x00);
    expect(read(MSR)).toBe(0x0b);
    expect(read(MSR)).toBe(0x00);
    expect(read(IIR)).toBe(0x01);
    // The ring indicator: its end counts, not its beginning.
    write(MCR, 0x14);
    expect(read(MSR)).toBe(0x40);
    write(MCR, 0x10);
    expect(read(MSR)).toBe(0x04);
  });

  test('lost input is the most urgent interrupt, and reading the status ends it', () => {
    write(IER, 0x0f);
    write(MCR, 0x10);
    send('ab');
    expect(read(IIR)).toBe(0x06);
    read(LSR);
    expect(read(IIR)).toBe(0x04);
  });

  test('wide accesses reach one register, and the rest of the window is empty', () => {
    bench.write32(UART.base, 0x4342_4100 | 0x5a);
    expect(bench.printed()).toBe('Z');
    write(LCR, 0x03);
    expect(bench.board.mmioRead(UART.base + 2, 2)).toBe(0x01);
    write(8, 0xff);
    expect(read(8)).toBe(0);
    expect(read(0xff)).toBe(0);
  });

  test('reset() leaves input that nobody has read', () => {
    write(FCR, 0x01);
    write(LCR, 0x1b);
    bench.type('abc');
    bench.board.reset();
    expect(read(LCR)).toBe(0);
    bench.type('d');
    expect(receive()).toBe('d');
  });
});
