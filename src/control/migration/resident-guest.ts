import { type Clock, type Deferred, deferred } from '../../base/index.ts';
import type { Machine } from '../../guestmem/index.ts';

/**
 * Whoever comes while a guest is on its way out waits this long at most: half of the patience that
 * a source has by default.
 */
const DEPARTURE_LIMIT_MS = 5_000;

/** What the main thread knows of its guest, and a new worker has to be told. */
export interface Residence {
  /** No other guest can come. */
  readonly occupied: boolean;
  /** The guest that lives here, also when this worker has not seen it come. */
  readonly uuid: string | undefined;
}

export interface ResidentGuestListener {
  /** The guest is another side's, or may be, and its migration out of here needs its RAM yet. */
  isLeaving(): boolean;
  /** Cancels a migration out of here. False while there is one. */
  mayYield(): boolean;
  /** For a guest that this worker has not seen come: it must stand still. */
  mustStand(): void;
  /** The guest is another side's by its record. */
  yielded(): void;
}

/** The guest that lives in this agent, as its migration worker knows it. */
export class ResidentGuest {
  private readonly listener: ResidentGuestListener;
  private residence: Residence = { occupied: false, uuid: undefined };
  /** The guest that came last. */
  private arrived: Machine | undefined;
  /** It was given away; of that the main thread does not know yet. */
  private hasLeft = false;
  private change: Deferred<void> = deferred();

  constructor(listener: ResidentGuestListener) {
    this.listener = listener;
  }

  get isOccupied(): boolean {
    return this.residence.occupied;
  }

  /** What the main thread says. */
  set(residence: Residence): void {
    this.residence = residence;
    if (!residence.occupied) {
      this.arrived = undefined;
      this.hasLeft = false;
    }
    this.changed();
  }

  /** A migration out of here is over; `hasLeft`: and the guest is another side's. */
  departed(hasLeft: boolean): void {
    this.hasLeft = hasLeft;
    this.changed();
  }

  /**
   * Resolves at once, but for a guest that is on its way out: when its place is free, or it stays,
   * or a limit has passed.
   */
  async settled(clock: Clock): Promise<void> {
    if (!this.isOnItsWay) return;
    const over = new AbortController();
    const deadlineMs = clock.nowMs() + DEPARTURE_LIMIT_MS;
    const late = clock.sleep(DEPARTURE_LIMIT_MS, over.signal);
    while (this.isOnItsWay && clock.nowMs() < deadlineMs) {
      await Promise.race([this.change.promise, late]);
    }
    over.abort();
  }

  /** It lives here from now on, not from when the main thread has heard of it. */
  came(machine: Machine): void {
    this.residence = { occupied: true, uuid: machine.description.uuid };
    this.arrived = machine;
    this.hasLeft = false;
    this.changed();
  }

  /** The guest lives in this process. */
  isHere(uuid: string): boolean {
    const { occupied, uuid: resident } = this.residence;
    return occupied && resident?.toLowerCase() === uuid.toLowerCase();
  }

  mayYield(uuid: string): boolean {
    return !this.isHere(uuid) || this.listener.mayYield();
  }

  /** It stands still from its next safepoint on; nothing has to wait for that. */
  pause(uuid: string): void {
    if (!this.isHere(uuid)) return;
    if (this.arrived?.description.uuid !== this.residence.uuid) return this.listener.mustStand();
    // A vCPU that has died runs no more either, and is told of by its own event.
    void this.arrived?.pause('ownership').catch(() => {});
  }

  /** Durable: whoever asks for the guest is told so. */
  yielded(uuid: string): void {
    if (this.isHere(uuid)) this.listener.yielded();
  }

  private get isOnItsWay(): boolean {
    return this.isOccupied && (this.hasLeft || this.listener.isLeaving());
  }

  private changed(): void {
    const { change } = this;
    this.change = deferred();
    change.resolve();
  }
}
