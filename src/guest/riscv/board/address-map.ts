/**
 * Where things are in the guest's physical memory, and on which line they interrupt. The device
 * tree tells the guest the same numbers; they follow the `virt` board that guests know, so that
 * bare-metal programs written for it find their UART.
 */

/** Page 0 of the RAM block. */
export const RAM_BASE = 0x8000_0000;
/** One RAM block: all of RAM ends at 4 GiB, and every guest-physical address fits a u32. */
export const RAM_BYTES_MAX = 2 ** 31;

/** Ticks a second of `time` and `stimecmp`. */
export const TIMEBASE_HZ = 10_000_000;

export const FINISHER = { base: 0x0010_0000, bytes: 0x1000 } as const;
/** The clock of the wall. */
export const RTC = { base: 0x0010_1000, bytes: 0x1000, irq: 11 } as const;
export const PLIC = { base: 0x0c00_0000, bytes: 0x0400_0000 } as const;
export const UART = { base: 0x1000_0000, bytes: 0x100, irq: 10 } as const;
/** Slot i lies at `base + i * slotBytes` and interrupts on line `firstIrq + i`. */
export const VIRTIO = {
  base: 0x1000_1000,
  slotBytes: 0x1000,
  slotCount: 8,
  firstIrq: 1,
} as const;

/** Bits of `mip` that the PLIC and the IPI of SBI drive. */
export const SSIP = 1 << 1;
export const SEIP = 1 << 9;
export const MEIP = 1 << 11;

export const HARTS_MAX = 8;

/** True when all of the range lies in RAM; of an empty one, when its address does. */
export function isInRam(ramBytes: number, gpa: number, length: number): boolean {
  return gpa >= RAM_BASE && length >= 0 && gpa + length <= RAM_BASE + ramBytes;
}
