import type { MachineStateSection } from '../../../guestmem/index.ts';
import { FINISHER, PLIC, RTC, UART, VIRTIO } from './address-map.ts';
import { type BoardBlock, QUEUE_PENDING, RANDOM_REGION } from './board-block.ts';
import { type BoardConfig, checkBoardConfig } from './board-config.ts';
import { type BoardEvent, BoardEvents } from './board-event.ts';
import { BoardLock } from './board-lock.ts';
import { type DeviceParts, Devices } from './devices.ts';
import { Finisher } from './finisher.ts';
import type { GuestRam } from './guest-ram.ts';
import { Sbi } from './sbi/sbi.ts';
import type { SbiHart, SbiOutcome } from './sbi/sbi-call.ts';
import { loadBoard } from './state/load-board.ts';
import { saveBoard } from './state/save-board.ts';
import { seedRandomDevice } from './virtio/random-device.ts';

/** The callbacks are called under the board's lock: they note and notify, and never come back. */
export interface BoardOptions extends DeviceParts {
  readonly ram: GuestRam;
  /** The guest powers off, resets or fails: its vCPUs shall stop. */
  readonly onEvent: (event: BoardEvent) => void;
}

/**
 * The board as a vCPU worker has it; all of them share its block. MMIO never touches RAM and never
 * waits for pages; what does is noted, and done by `poll`, which one worker calls between slices.
 */
export class Board {
  readonly config: BoardConfig;
  private readonly parts: BoardOptions;
  private readonly block: BoardBlock;
  private readonly lock: BoardLock;
  private readonly events: BoardEvents;
  private readonly devices: Devices;
  private readonly finisher: Finisher;
  private readonly sbiCalls: Sbi;

  /** Throws E_CONFIG_INVALID. It changes nothing in the block: `reset` makes a new board. */
  constructor(options: BoardOptions) {
    checkBoardConfig(options.config);
    this.parts = options;
    this.config = options.config;
    this.block = options.block;
    this.lock = new BoardLock(options.block);
    this.events = new BoardEvents(options.block, options.onEvent);
    this.devices = new Devices(options);
    this.finisher = new Finisher(this.events);
    this.sbiCalls = new Sbi({
      uart: this.devices.uart,
      events: this.events,
      ram: options.ram,
      ramBytes: options.config.ramBytes,
      mips: options.mips,
      wake: options.wake,
    });
  }

  /** What the guest asked for last, and the board's owner has not answered by a reset. */
  get event(): BoardEvent | undefined {
    return this.events.current();
  }

  /** True when `poll` has requests of the guest to work off. */
  get hasPendingWork(): boolean {
    // Pairs with the or and the and in VirtioTransport.
    return Atomics.load(this.block.atomics, QUEUE_PENDING) !== 0;
  }

  /** Until `poll` has something to do though nobody asks for it. */
  get alarmInMs(): number {
    return this.lock.run(() => this.devices.rtc.alarmInMs);
  }

  /** False: the access faults. Accesses of 1, 2 or 4 bytes, aligned, inside one window exist. */
  mmioExists(address: number, bytes: number): boolean {
    const at = address >>> 0;
    const isSize = bytes === 1 || bytes === 2 || bytes === 4;
    return isSize && at % bytes === 0 && windowOf(at) !== undefined;
  }

  /** What is not there reads zero. */
  mmioRead(address: number, bytes: number): number {
    const found = this.mmioExists(address, bytes) ? windowOf(address >>> 0) : undefined;
    if (found === undefined) return 0;
    return this.lock.run(() => this.readWindow(found, bytes)) >>> 0;
  }

  /** Writes to what is not there are ignored. */
  mmioWrite(address: number, bytes: number, value: number): void {
    const found = this.mmioExists(address, bytes) ? windowOf(address >>> 0) : undefined;
    if (found === undefined) return;
    this.lock.run(() => this.writeWindow(found, bytes, value >>> 0));
  }

  /**
   * Works off what the guest has asked for, and moves bytes of the serial line. May be thrown out
   * of a wait for a page (`GuestRam`): then it is called again.
   */
  poll(): void {
    this.lock.run(() => {
      try {
        this.devices.uart.pump();
        this.devices.rtc.poll();
        if (!this.hasPendingWork) return;
        for (const transport of this.devices.transports) transport.poll(this.parts.ram);
      } finally {
        this.devices.updateInterrupts();
      }
    });
  }

  /** An ecall of supervisor mode. May be thrown out of a wait for a page: then it is repeated. */
  sbi(hart: SbiHart): SbiOutcome {
    return this.lock.run(() => {
      const outcome = this.sbiCalls.call(hart);
      this.devices.updateInterrupts();
      return outcome;
    });
  }

  /** Everything as after power-on: also a new board begins by it. */
  reset(): void {
    this.lock.run(() => {
      this.events.clear();
      this.devices.reset();
      const { randomSeed } = this.config;
      if (randomSeed === undefined) this.block.region(RANDOM_REGION).fill(0);
      else seedRandomDevice(this.block, randomSeed);
    });
  }

  /** All that crosses with the guest. Only while it is paused. */
  save(): MachineStateSection[] {
    return this.lock.run(() => {
      this.devices.updateInterrupts();
      return saveBoard(this.block, this.config, this.parts.input);
    });
  }

  /**
   * Takes a state over, all or nothing. Only while the guest is paused. Throws E_MACHINE_STATE.
   * Sections that are not the board's are none of its business.
   */
  load(sections: readonly MachineStateSection[]): void {
    this.lock.run(() => {
      loadBoard(this.block, this.config, sections);
      this.devices.updateInterrupts();
    });
  }

  private readWindow({ name, slot, offset }: Place, bytes: number): number {
    const { uart, plic, rtc, transports } = this.devices;
    if (name === 'virtio') return transports[slot]?.read(offset, bytes) ?? 0;
    if (name === 'plic') return bytes === 4 ? plic.read(offset) : 0;
    if (name === 'rtc') return bytes === 4 ? rtc.read(offset) : 0;
    if (name === 'finisher') return 0;
    // A wide access reaches the one byte register that it begins at.
    const value = uart.read(offset);
    this.devices.updateInterrupts();
    return value;
  }

  private writeWindow({ name, slot, offset }: Place, bytes: number, value: number): void {
    const { uart, plic, rtc, transports } = this.devices;
    if (name === 'plic') {
      if (bytes === 4) plic.write(offset, value);
      return;
    }
    if (name === 'uart') uart.write(offset, value);
    else if (name === 'virtio') transports[slot]?.write(offset, bytes, value);
    else if (name === 'rtc') {
      if (bytes === 4) rtc.write(offset, value);
    }
    // Two bytes are enough for what it knows; a failure's code is in the upper ones.
    else if (bytes >= 2) this.finisher.write(offset, value);
    this.devices.updateInterrupts();
  }
}

interface Place {
  readonly name: 'finisher' | 'plic' | 'rtc' | 'uart' | 'virtio';
  readonly slot: number;
  readonly offset: number;
}

/** The window that an address lies in. Their sizes are multiples of 4: no access crosses an end. */
function windowOf(address: number): Place | undefined {
  const within = (base: number, bytes: number) => address >= base && address < base + bytes;
  const { base, slotBytes, slotCount } = VIRTIO;
  if (within(base, slotCount * slotBytes)) {
    const offset = (address - base) % slotBytes;
    return { name: 'virtio', slot: (address - base - offset) / slotBytes, offset };
  }
  if (within(UART.base, UART.bytes)) return { name: 'uart', slot: 0, offset: address - UART.base };
  if (within(PLIC.base, PLIC.bytes)) return { name: 'plic', slot: 0, offset: address - PLIC.base };
  if (within(RTC.base, RTC.bytes)) return { name: 'rtc', slot: 0, offset: address - RTC.base };
  if (!within(FINISHER.base, FINISHER.bytes)) return undefined;
  return { name: 'finisher', slot: 0, offset: address - FINISHER.base };
}
