import type { BoardEvents } from '../board-event.ts';
import type { GuestRam } from '../guest-ram.ts';
import type { MipWord } from '../plic.ts';
import type { Uart } from '../serial/uart.ts';
import { DebugConsole } from './debug-console.ts';
import { HartCalls } from './hart-calls.ts';
import { LegacyCalls } from './legacy-calls.ts';
import {
  SBI_INVALID_PARAMETER,
  SBI_NOT_SUPPORTED,
  type SbiExtension,
  type SbiHart,
  type SbiOutcome,
  type SbiReply,
  sbiError,
  sbiSuccess,
} from './sbi-call.ts';

/** What the firmware works with. */
export interface SbiParts {
  readonly uart: Uart;
  readonly events: BoardEvents;
  readonly ram: GuestRam;
  readonly ramBytes: number;
  readonly mips: readonly MipWord[];
  readonly wake: (hart: number) => void;
}

/** 2.0. */
const SPECIFICATION_VERSION = 0x0200_0000n;
/** "Sterna"; no list has it. */
const IMPLEMENTATION_ID = 0x53_7465_726en;
const IMPLEMENTATION_VERSION = 1n;

const BASE = 0x10n;
const TIME = 0x5449_4d45n;
const IPI = 0x73_5049n;
const RFENCE = 0x5246_4e43n;
const HSM = 0x48_534dn;
const SRST = 0x5352_5354n;
const DBCN = 0x4442_434en;
/** Legacy extensions are functions of their own, 0 to 8, and answer in a0 alone. */
const LEGACY_LAST = 8n;

const SHUTDOWN = 0n;
const WARM_REBOOT = 2n;
const SYSTEM_FAILURE = 1n;

/**
 * The firmware below an operating system: the Supervisor Binary Interface, without an instruction
 * of machine mode. Extensions are numbered by a7, functions by a6.
 */
export class Sbi {
  private readonly events: BoardEvents;
  private readonly extensions: ReadonlyMap<bigint, SbiExtension>;
  private readonly legacy: LegacyCalls;

  constructor(parts: SbiParts) {
    this.events = parts.events;
    const harts = new HartCalls(parts.mips, parts.wake);
    const console = new DebugConsole(parts.uart, parts.ram, parts.ramBytes);
    this.legacy = new LegacyCalls(parts.uart, parts.events);
    this.extensions = new Map<bigint, SbiExtension>([
      [BASE, (id, hart) => this.base(id, hart)],
      [TIME, (id, hart) => harts.timer(id, hart)],
      [IPI, (id, hart) => harts.interrupt(id, hart)],
      [RFENCE, (id, hart) => harts.fence(id, hart)],
      [HSM, (id, hart) => harts.state(id, hart)],
      [SRST, (id, hart) => this.reset(id, hart)],
      [DBCN, (id, hart) => console.call(id, hart)],
    ]);
  }

  /** May be thrown out of a wait for a page: then nothing has happened, and it is repeated. */
  call(hart: SbiHart): SbiOutcome {
    const extensionId = hart.argument(7);
    if (extensionId <= LEGACY_LAST) {
      const { value, outcome } = this.legacy.call(extensionId, hart);
      if (outcome !== 'retry') hart.setArgument(0, value);
      return outcome;
    }
    const extension = this.extensions.get(extensionId);
    const reply = extension?.(hart.argument(6), hart) ?? sbiError(SBI_NOT_SUPPORTED);
    if (reply.outcome === 'retry') return 'retry';
    hart.setArgument(0, BigInt.asUintN(64, reply.error));
    hart.setArgument(1, reply.value);
    return reply.outcome;
  }

  private base(functionId: bigint, hart: SbiHart): SbiReply | undefined {
    // The last three are the hart's mvendorid, marchid and mimpid.
    const values = [
      SPECIFICATION_VERSION,
      IMPLEMENTATION_ID,
      IMPLEMENTATION_VERSION,
      this.isAvailable(hart.argument(0)) ? 1n : 0n,
      0n,
      0n,
      0n,
    ];
    const value = functionId < values.length ? values[Number(functionId)] : undefined;
    return value === undefined ? undefined : sbiSuccess(value);
  }

  private isAvailable(extensionId: bigint): boolean {
    return this.extensions.has(extensionId) || this.legacy.has(extensionId);
  }

  private reset(functionId: bigint, hart: SbiHart): SbiReply | undefined {
    if (functionId !== 0n) return undefined;
    // The specification has both in 32 bits.
    const type = BigInt.asUintN(32, hart.argument(0));
    const reason = BigInt.asUintN(32, hart.argument(1));
    if (type > WARM_REBOOT || reason > SYSTEM_FAILURE) return sbiError(SBI_INVALID_PARAMETER);
    if (type !== SHUTDOWN) this.events.raise({ kind: 'reset' });
    else if (reason === SYSTEM_FAILURE) this.events.raise({ kind: 'fail', exitCode: 1 });
    else this.events.raise({ kind: 'power-off' });
    return sbiSuccess();
  }
}
