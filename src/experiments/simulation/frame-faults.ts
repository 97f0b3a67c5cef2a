import type { FrameFate } from '../../channel/index.ts';
import type { MessageName } from '../../protocol/index.ts';
import type { FaultPlan, FrameBreak, FramePlace, LinkDirection, Side } from './fault-plan.ts';

export interface FrameFaultsOptions {
  readonly fault: FaultPlan;
  readonly breaks: readonly FrameBreak[];
  readonly kill: (side: Side) => void;
  /** A frame met its fate. */
  readonly hit: (direction: LinkDirection, text: string) => void;
}

/**
 * Decides what happens to the frames of all connections of a migration: the planned places one
 * after the other, each counted from the one before.
 */
export class FrameFaults {
  /** Frames that departed in each direction: the indexes at which a first fault can be put. */
  readonly counts: Record<LinkDirection, number> = { 'to-destination': 0, 'to-source': 0 };
  private readonly options: FrameFaultsOptions;
  /** Those before this one were hit. */
  private next = 0;
  private sinceHit: Record<LinkDirection, number> = { 'to-destination': 0, 'to-source': 0 };
  private readonly places: readonly FramePlace[];

  constructor(options: FrameFaultsOptions) {
    this.options = options;
    const { fault, breaks } = options;
    const isPlaced = fault.kind === 'frame' || fault.kind === 'kill';
    this.places = isPlaced ? [fault, ...breaks] : breaks;
  }

  /** Places that were hit. */
  get hits(): number {
    return this.next;
  }

  decide(direction: LinkDirection, name: MessageName | undefined): FrameFate {
    this.counts[direction] += 1;
    const index = this.sinceHit[direction];
    this.sinceHit[direction] += 1;
    const place = this.places[this.next];
    if (place?.direction !== direction || (place.at !== index && place.at !== name)) {
      return 'deliver';
    }
    this.next += 1;
    this.sinceHit = { 'to-destination': 0, 'to-source': 0 };
    return this.strike(place, direction, `at frame ${this.counts[direction] - 1} ${name}`);
  }

  private strike(place: FramePlace, direction: LinkDirection, where: string): FrameFate {
    const { fault, hit, kill } = this.options;
    if (place === fault && fault.kind === 'kill') {
      hit(direction, `kill of the ${fault.side} ${where}`);
      kill(fault.side);
      return 'cut';
    }
    // All others are such.
    const { fate } = place as FrameBreak;
    hit(direction, `${fate} ${where}`);
    return fate;
  }
}
