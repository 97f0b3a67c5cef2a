import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type Move, type MoveOptions, moveMachine } from '../../src/experiments/moving-machine.ts';
import {
  boardConfig,
  type DriveSpec,
  driveShape,
  parseDriveSpec,
  planBoot,
  RiscvMachine,
  riscvDescription,
} from '../../src/guest/index.ts';
import { readElf } from '../../src/guest/riscv/board/boot/elf-image.ts';
import type { BoardEvent } from '../../src/guest/riscv/board/index.ts';
import { RAM_BASE } from '../../src/guest/riscv/board/index.ts';
import type { MachineDescription } from '../../src/guestmem/index.ts';
import { buildGuest, type GuestProgram } from './riscv-compiler.ts';
import { until } from './until.ts';

/** Symbols of guests that tests look at. */
const SYMBOLS = ['rounds', 'first_page', 'longest_step'];
const RAM_BYTES = 16 * 2 ** 20;

export interface RiscvGuestOptions {
  readonly ramBytes?: number;
  readonly deterministic?: boolean;
  readonly haltAt?: number;
  readonly drives?: readonly DriveSpec[];
  readonly startPaused?: boolean;
}

/** A guest of test/guests/riscv, wherever it is now. */
export class RiscvGuest {
  machine: RiscvMachine;
  /** What it printed so far. */
  printed = '';
  private readonly symbols: ReadonlyMap<string, number>;
  private readonly drives: readonly DriveSpec[];

  private constructor(
    machine: RiscvMachine,
    symbols: ReadonlyMap<string, number>,
    drives: readonly DriveSpec[],
  ) {
    this.machine = machine;
    this.symbols = symbols;
    this.drives = drives;
  }

  static async start(program: GuestProgram, options: RiscvGuestOptions = {}): Promise<RiscvGuest> {
    const { ramBytes = RAM_BYTES, drives = [] } = options;
    const bytes = buildGuest(program);
    const description = riscvDescription({
      name: program.name,
      uuid: randomUUID(),
      ramBytes,
      hartCount: 1,
      deterministic: options.deterministic ?? false,
      haltAt: options.haltAt ?? 0,
      tohost: 0,
      drives: drives.map(driveShape),
      seed: 1,
    });
    const machine = await machineOf(description, drives);
    const plan = planBoot(boardConfig(description), {
      kernel: { file: program.name, bytes },
      bootArguments: '',
      randomSeed: new Uint8Array(32),
    });
    machine.furnish({ ...plan, hasSbi: program.isSupervisor ?? false });
    if (options.startPaused !== true) machine.resume('ownership');
    return new RiscvGuest(machine, readElf('', bytes, ramBytes, SYMBOLS).symbols, drives);
  }

  /** The page of a symbol, or one behind it. */
  pfn(symbol: string, pages = 0): number {
    return Math.floor((this.address(symbol) - RAM_BASE) / 4096) + pages;
  }

  /** A word of 64 bits; of a running guest, as it was at some moment. */
  word(symbol: string): number {
    return Number(this.ram.readBigUInt64LE(this.address(symbol) - RAM_BASE));
  }

  get ram(): Buffer {
    return this.machine.memory.blocks[0]!.ram;
  }

  get rounds(): number {
    return this.word('rounds');
  }

  type(text: string): void {
    expect(this.machine.serial.input.push(Buffer.from(text))).toBe(text.length);
    this.machine.wake();
  }

  /** Takes what the guest has printed. */
  drain(): string {
    const { bytes, producerWaits } = this.machine.serial.output.pull(2 ** 20);
    if (producerWaits) this.machine.wake();
    this.printed += Buffer.from(bytes).toString('latin1');
    return this.printed;
  }

  async says(text: string): Promise<void> {
    await this.until(`it says ${JSON.stringify(text)}`, () => this.drain().includes(text));
  }

  /** Resolves when the guest went round that many more times. */
  async goRound(more: number): Promise<void> {
    await this.reachRound(this.rounds + more);
  }

  async reachRound(target: number): Promise<void> {
    await this.until(`round ${target}`, () => this.rounds >= target);
  }

  /** What the guest ends by. */
  async ends(): Promise<BoardEvent> {
    const event = await until('the guest ends', () => {
      this.drain();
      return this.machine.event;
    });
    this.drain();
    return event;
  }

  /** It has found nothing wrong. */
  async passes(): Promise<void> {
    const event = await this.ends();
    expect({ event, printed: this.printed }).toEqual({
      event: { kind: 'power-off' },
      printed: expect.stringMatching(/pass\n$/),
    });
  }

  /** An empty machine of the same description, which stands still. */
  twin(): Promise<RiscvMachine> {
    return machineOf(this.machine.description, this.drives);
  }

  /** The guest as it is on another machine, which the test has made it. */
  at(machine: RiscvMachine): RiscvGuest {
    return new RiscvGuest(machine, this.symbols, this.drives);
  }

  /** Moves the guest, which is on another machine then. */
  async move(options: Partial<MoveOptions<RiscvMachine>>): Promise<Move<RiscvMachine>> {
    const before = this.machine;
    const moved = await moveMachine(before, { create: () => this.twin(), ...options });
    this.drain();
    if (moved.source.status !== 'completed') return moved;
    this.machine = moved.machine;
    await before.destroy();
    return moved;
  }

  private address(symbol: string): number {
    const address = this.symbols.get(symbol);
    if (address === undefined) throw new Error(`The guest has no ${symbol}`);
    return address;
  }

  private async until(what: string, holds: () => boolean): Promise<void> {
    await until(what, () => {
      if (holds()) return true;
      const { event } = this.machine;
      if (event === undefined) return undefined;
      throw new Error(`Before ${what}: ${JSON.stringify(event)}, it printed ${this.drain()}`);
    });
  }
}

/** Paused for the reason `ownership`; it ends with the test. */
export async function machineOf(
  description: MachineDescription,
  drives: readonly DriveSpec[] = [],
): Promise<RiscvMachine> {
  const machine = await RiscvMachine.create({ description, startPaused: true, drives });
  onTestFinished(() => machine.destroy());
  return machine;
}

/** A disk in a file, which goes with the test. */
export function testDrive(content: Uint8Array, options = ''): DriveSpec {
  const folder = mkdtempSync(join(tmpdir(), 'guest-disk-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'disk');
  writeFileSync(file, content);
  return parseDriveSpec(`file=${file},format=raw${options}`);
}

/** How a deterministic guest ended. */
interface Ended {
  readonly ram: Buffer;
  /** Without the clock: that is the host's time. */
  readonly sections: Readonly<Record<string, string>>;
}

/** Of a guest that halts after so many instructions. */
export async function endOf(guest: RiscvGuest, haltAt: number): Promise<Ended> {
  const { machine } = guest;
  await until('the guest halts', () => (machine.steps >= BigInt(haltAt) ? true : undefined));
  await machine.pause('operator');
  expect(machine.steps).toBe(BigInt(haltAt));
  expect(machine.event, guest.drain()).toBeUndefined();
  const { sections } = await machine.save();
  return {
    ram: Buffer.from(guest.ram),
    sections: Object.fromEntries(
      sections
        .filter((section) => section.name !== 'clock')
        .map((section) => [section.name, Buffer.from(section.bytes).toString('hex')]),
    ),
  };
}
