import { PAGE_BYTES, SternaError } from '../../../base/index.ts';
import { HARTS_MAX, RAM_BYTES_MAX, VIRTIO } from './address-map.ts';

/** What is in a virtio slot. */
export type SlotConfig =
  | { readonly kind: 'rng' }
  | {
      readonly kind: 'blk';
      readonly capacityBytes: number;
      readonly isReadOnly: boolean;
      /** What GET_ID says. */
      readonly serial: string;
    };

/** What a board consists of. Source and destination must have the same; it is plain data. */
export interface BoardConfig {
  readonly hartCount: number;
  readonly ramBytes: number;
  /** From slot 0 on. */
  readonly slots: readonly SlotConfig[];
  /** Of a guest that shall replay: its randomness follows from the seed. */
  readonly randomSeed?: number;
}

/** Throws E_CONFIG_INVALID when no such board can be built. */
export function checkBoardConfig({ hartCount, ramBytes, slots }: BoardConfig): void {
  if (!Number.isInteger(hartCount) || hartCount < 1 || hartCount > HARTS_MAX) {
    throw configError(`A board has no ${hartCount} harts`, `1 to ${HARTS_MAX}`);
  }
  if (!Number.isInteger(ramBytes / PAGE_BYTES) || ramBytes <= 0 || ramBytes > RAM_BYTES_MAX) {
    throw configError(
      `A board has no ${ramBytes} bytes of RAM`,
      `a multiple of ${PAGE_BYTES} up to ${RAM_BYTES_MAX}`,
    );
  }
  if (slots.length > VIRTIO.slotCount) {
    throw configError(`A board has no ${slots.length} virtio devices`, `up to ${VIRTIO.slotCount}`);
  }
}

function configError(message: string, expected: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message, { detail: { expected } });
}

/** The board in lines of text: what a saved state says of the board that it is for. */
export function boardLines({ hartCount, ramBytes, slots, randomSeed }: BoardConfig): string[] {
  return [
    `harts: ${hartCount}`,
    `RAM: ${ramBytes} bytes`,
    `randomness: ${randomSeed === undefined ? "the host's" : 'from a seed'}`,
    ...slots.map((slot, index) => `device ${index}: ${describeSlot(slot)}`),
  ];
}

function describeSlot(slot: SlotConfig): string {
  if (slot.kind === 'rng') return 'rng';
  const access = slot.isReadOnly ? 'read-only' : 'writable';
  return `blk of ${slot.capacityBytes} bytes, ${access}, serial ${JSON.stringify(slot.serial)}`;
}
