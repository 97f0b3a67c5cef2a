import { SternaError, type WallClock } from '../../../base/index.ts';
import { RTC, UART, VIRTIO } from './address-map.ts';
import type { BoardBlock } from './board-block.ts';
import type { BoardConfig, SlotConfig } from './board-config.ts';
import type { Drive } from './drive/drive.ts';
import { type MipWord, Plic } from './plic.ts';
import { Rtc } from './rtc.ts';
import type { SerialOutput, SerialRing } from './serial/serial-ring.ts';
import { Uart } from './serial/uart.ts';
import { BlockDevice } from './virtio/block-device.ts';
import { RandomDevice } from './virtio/random-device.ts';
import { VirtioTransport } from './virtio/transport.ts';
import type { VirtioDevice } from './virtio/virtio-device.ts';

export interface DeviceParts {
  readonly block: BoardBlock;
  readonly config: BoardConfig;
  /** Bytes for the UART, and from it. */
  readonly input: SerialRing;
  readonly output: SerialOutput;
  readonly mips: readonly MipWord[];
  /** By slot. A worker that never polls needs none. */
  readonly drives: ReadonlyMap<number, Drive>;
  readonly wake: (hart: number) => void;
  /** The host's; where a run is to be repeated, one that stands still. */
  readonly wallClock: WallClock;
}

/** The devices of a board over its block, and their interrupt lines. */
export class Devices {
  readonly uart: Uart;
  readonly plic: Plic;
  readonly rtc: Rtc;
  /** One for each slot, also for those with nothing in them. */
  readonly transports: readonly VirtioTransport[];

  /** Throws E_CONFIG_INVALID when a drive is not what the configuration says. */
  constructor(parts: DeviceParts) {
    const { block, config, input, output, mips, drives, wake, wallClock } = parts;
    this.uart = new Uart(block, input, output);
    this.plic = new Plic(block, mips, wake);
    this.rtc = new Rtc(block, wallClock);
    this.transports = Array.from({ length: VIRTIO.slotCount }, (_, slot) => {
      const device = deviceOf(block, slot, config.slots[slot], drives.get(slot));
      return new VirtioTransport(block, slot, config.ramBytes, device);
    });
  }

  /** The lines that a device can raise, a bit each. */
  get lines(): number {
    const others = (1 << UART.irq) | (1 << RTC.irq);
    return this.mask((transport) => transport.device !== undefined) | others;
  }

  /** The lines that are high now. */
  get levels(): number {
    const uart = this.uart.isInterrupting ? 1 << UART.irq : 0;
    const rtc = this.rtc.isInterrupting ? 1 << RTC.irq : 0;
    return this.mask((transport) => transport.isInterrupting) | uart | rtc;
  }

  /** Tells the PLIC, and so the harts, after anything that may have changed a line. */
  updateInterrupts(): void {
    this.plic.setLevels(this.levels);
  }

  reset(): void {
    this.uart.reset();
    this.rtc.reset();
    for (const transport of this.transports) transport.reset();
    this.plic.reset();
  }

  private mask(isSet: (transport: VirtioTransport) => boolean): number {
    return this.transports.reduce(
      (bits, transport, slot) => bits | (isSet(transport) ? 1 << (VIRTIO.firstIrq + slot) : 0),
      0,
    );
  }
}

function deviceOf(
  block: BoardBlock,
  slot: number,
  config: SlotConfig | undefined,
  drive: Drive | undefined,
): VirtioDevice | undefined {
  if (config === undefined) return undefined;
  if (config.kind === 'rng') return new RandomDevice(block);
  const { capacityBytes, isReadOnly, serial } = config;
  if (drive !== undefined && drive.capacityBytes !== capacityBytes) {
    throw driveError(slot, `${drive.capacityBytes} bytes`, `${capacityBytes} bytes`);
  }
  if (drive !== undefined && drive.isReadOnly !== isReadOnly) {
    throw driveError(slot, `readonly=${drive.isReadOnly ? 'on' : 'off'}`, 'the other');
  }
  return new BlockDevice(drive ?? absentDrive(capacityBytes, isReadOnly), serial);
}

function driveError(slot: number, found: string, expected: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', `The drive in slot ${slot} is not the guest's`, {
    detail: { found, expected },
  });
}

/** What a worker knows of a drive that another one has open. */
function absentDrive(capacityBytes: number, isReadOnly: boolean): Drive {
  return {
    capacityBytes,
    isReadOnly,
    read: () => undefined,
    write: () => false,
    flush: () => false,
  };
}
