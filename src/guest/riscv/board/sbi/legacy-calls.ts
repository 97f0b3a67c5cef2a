import type { BoardEvents } from '../board-event.ts';
import type { Uart } from '../serial/uart.ts';
import { SBI_NOT_SUPPORTED, type SbiHart, type SbiOutcome } from './sbi-call.ts';

const SET_TIMER = 0n;
const PUT_CHARACTER = 1n;
const GET_CHARACTER = 2n;
const REMOTE_FENCE_I = 5n;
const REMOTE_SFENCE = 6n;
const REMOTE_SFENCE_ASID = 7n;
const SHUTDOWN = 8n;
/** What the clearing and sending of interrupts (3, 4) needs, a mask in virtual memory, is not. */
const KNOWN = [SET_TIMER, PUT_CHARACTER, GET_CHARACTER, SHUTDOWN];
const FENCES = [REMOTE_FENCE_I, REMOTE_SFENCE, REMOTE_SFENCE_ASID];

/** SBI 0.1: what early consoles and small kernels call. */
export class LegacyCalls {
  private readonly uart: Uart;
  private readonly events: BoardEvents;

  constructor(uart: Uart, events: BoardEvents) {
    this.uart = uart;
    this.events = events;
  }

  has(extensionId: bigint): boolean {
    return KNOWN.includes(extensionId) || FENCES.includes(extensionId);
  }

  call(
    extensionId: bigint,
    hart: SbiHart,
  ): { readonly value: bigint; readonly outcome: SbiOutcome } {
    // The mask of a fence is a pointer; a fence on more harts than asked for is no harm.
    if (FENCES.includes(extensionId)) return { value: 0n, outcome: 'flush' };
    switch (extensionId) {
      case SET_TIMER:
        hart.setTimer(hart.argument(0));
        return { value: 0n, outcome: 'done' };
      case PUT_CHARACTER:
        return this.put(Number(hart.argument(0) & 0xffn));
      case GET_CHARACTER:
        return { value: BigInt.asUintN(64, BigInt(this.uart.take() ?? -1)), outcome: 'done' };
      case SHUTDOWN:
        this.events.raise({ kind: 'power-off' });
        return { value: 0n, outcome: 'done' };
      default:
        return { value: BigInt.asUintN(64, SBI_NOT_SUPPORTED), outcome: 'done' };
    }
  }

  private put(byte: number): { readonly value: bigint; readonly outcome: SbiOutcome } {
    return { value: 0n, outcome: this.uart.print(byte) ? 'done' : 'retry' };
  }
}
