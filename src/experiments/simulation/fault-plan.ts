import type { MessageName } from '../../protocol/index.ts';
import type { Dice } from './dice.ts';

/** What can happen to a frame. */
export const FRAME_FAULTS = ['cut', 'stall', 'corrupt', 'duplicate', 'drop'] as const;
export type FrameFault = (typeof FRAME_FAULTS)[number];
export const LINK_DIRECTIONS = ['to-destination', 'to-source'] as const;
export type LinkDirection = (typeof LINK_DIRECTIONS)[number];
export type Side = 'source' | 'destination';

/** A frame of any connection of the migration, in the order in which they depart. */
export interface FramePlace {
  readonly direction: LinkDirection;
  /** The frame with this index, or the first one of this type. */
  readonly at: number | MessageName;
}

export interface FrameBreak extends FramePlace {
  readonly fate: FrameFault;
}

/** The one thing that goes wrong in a history first. */
export type FaultPlan =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'frame' } & FrameBreak)
  /** A process ends instead of sending, or hearing, a frame. Its disk stays. */
  | ({
      readonly kind: 'kill';
      readonly side: Side;
      /** A new process comes so long after; it answers by the records of the one before. */
      readonly restartMs: number;
      /** The new process is a source that builds the guest anew, where the record lets it. */
      readonly boots: boolean;
    } & FramePlace)
  | { readonly kind: 'cancel'; readonly atMs: number }
  /** Somebody breaks the link of post-copy on purpose; it stays so until he says `resume`. */
  | { readonly kind: 'pause-link'; readonly side: Side; readonly atMs: number }
  | {
      readonly kind: 'ledger';
      readonly side: Side;
      /** The n-th write is refused, counted from 1. */
      readonly write: number;
      /** All later ones too: a disk that is full and stays so. */
      readonly lasting: boolean;
      /** The record is on disk although its write was refused. */
      readonly stays: boolean;
    }
  | { readonly kind: 'factory'; readonly how: 'refuses' | 'fails' };

const NAMED_TO_DESTINATION: readonly [MessageName, ...MessageName[]] = [
  ...(['STOPPED', 'MISSING_MAP', 'MACHINE_STATE', 'SWITCHOVER', 'GRANT', 'GRANT'] as const),
  ...(['POSTCOPY_END', 'JOIN', 'VERIFY_END', 'GOODBYE'] as const),
];
const NAMED_TO_SOURCE: readonly [MessageName, ...MessageName[]] = [
  ...(['HELLO_ACK', 'SWITCHOVER_ACK', 'RESUMED', 'POSTCOPY_RESUMED', 'PAGE_REQUEST'] as const),
  ...(['RECOVERY', 'RECOVERED', 'ALL_RECEIVED', 'VERIFY_RESULT', 'GUEST_STARTED'] as const),
];
const BREAKS_MAX = 3;

/** Draws what goes wrong first. */
export function planFault(dice: Dice): FaultPlan {
  const share = dice.random.uint32() / 2 ** 32;
  if (share < 0.2) return { kind: 'none' };
  if (share < 0.55) return { kind: 'frame', fate: dice.pick(FRAME_FAULTS), ...planPlace(dice, 60) };
  if (share < 0.72) {
    return {
      kind: 'kill',
      side: dice.pick(['source', 'destination']),
      restartMs: dice.pick([1, 150, 5000]),
      boots: dice.chance(0.5),
      ...planPlace(dice, 60),
    };
  }
  if (share < 0.82) return { kind: 'cancel', atMs: dice.scaled(10, 500_000) / 1000 };
  if (share < 0.86) {
    const side = dice.pick<Side>(['source', 'destination']);
    return { kind: 'pause-link', side, atMs: dice.scaled(10, 300) };
  }
  if (share < 0.96) {
    return {
      kind: 'ledger',
      side: dice.pick(['source', 'destination']),
      write: dice.between(1, 3),
      lasting: dice.chance(0.5),
      stays: dice.chance(0.4),
    };
  }
  return { kind: 'factory', how: dice.pick(['refuses', 'fails']) };
}

/** Draws what happens to the link afterwards. */
export function planBreaks(dice: Dice): FrameBreak[] {
  const count = dice.chance(0.6) ? 0 : dice.between(1, BREAKS_MAX);
  return Array.from({ length: count }, () => ({
    fate: dice.pick(FRAME_FAULTS),
    ...planPlace(dice, 30),
  }));
}

function planPlace(dice: Dice, framesMax: number): FramePlace {
  const direction = dice.pick(LINK_DIRECTIONS);
  const named = direction === 'to-destination' ? NAMED_TO_DESTINATION : NAMED_TO_SOURCE;
  return { direction, at: dice.chance(0.5) ? dice.pick(named) : dice.scaled(1, framesMax) - 1 };
}
