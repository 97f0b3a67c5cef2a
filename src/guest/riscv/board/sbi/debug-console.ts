import { isInRam } from '../address-map.ts';
import type { GuestRam } from '../guest-ram.ts';
import type { Uart } from '../serial/uart.ts';
import {
  SBI_INVALID_PARAMETER,
  type SbiHart,
  type SbiReply,
  sbiError,
  sbiSuccess,
} from './sbi-call.ts';

const WRITE = 0n;
const READ = 1n;
const WRITE_BYTE = 2n;
/** A call may do less than it was asked for; a guest asks again. It bounds the time of a call. */
const CALL_BYTES_MAX = 4096;

/** DBCN: the serial line, from and to the guest's physical memory. */
export class DebugConsole {
  private readonly uart: Uart;
  private readonly ram: GuestRam;
  private readonly ramBytes: number;

  constructor(uart: Uart, ram: GuestRam, ramBytes: number) {
    this.uart = uart;
    this.ram = ram;
    this.ramBytes = ramBytes;
  }

  call(functionId: bigint, hart: SbiHart): SbiReply | undefined {
    if (functionId === WRITE_BYTE) {
      const isPrinted = this.uart.print(Number(hart.argument(0) & 0xffn));
      return sbiSuccess(0n, isPrinted ? 'done' : 'retry');
    }
    if (functionId !== WRITE && functionId !== READ) return undefined;
    const range = this.range(hart);
    if (range === undefined) return sbiError(SBI_INVALID_PARAMETER);
    // Before anything is printed or taken. `length` may be zero: then there is nothing to ensure.
    if (range.length > 0) this.ram.ensure(range.gpa, range.length, functionId === READ);
    const count = functionId === WRITE ? this.print(range) : this.take(range);
    return sbiSuccess(BigInt(count));
  }

  private print({ gpa, length }: Range): number {
    const bytes = length === 0 ? [] : this.ram.read(gpa, length);
    let count = 0;
    while (count < length && this.uart.print(bytes[count] ?? 0)) count += 1;
    return count;
  }

  private take({ gpa, length }: Range): number {
    const bytes: number[] = [];
    while (bytes.length < length) {
      const byte = this.uart.take();
      if (byte === undefined) break;
      bytes.push(byte);
    }
    if (bytes.length > 0) this.ram.write(gpa, Uint8Array.from(bytes));
    return bytes.length;
  }

  /** Length in a0, address in a1 and a2; undefined when it is not all in RAM. */
  private range(hart: SbiHart): Range | undefined {
    const length = hart.argument(0);
    const gpa = hart.argument(1);
    // An address beyond 2^64, or a length beyond any RAM, becomes a number that is in none.
    if (hart.argument(2) !== 0n) return undefined;
    if (!isInRam(this.ramBytes, Number(gpa), Number(length))) return undefined;
    return { gpa: Number(gpa), length: Math.min(Number(length), CALL_BYTES_MAX) };
  }
}

interface Range {
  readonly gpa: number;
  readonly length: number;
}
