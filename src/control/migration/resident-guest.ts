import type { Machine } from '../../guestmem/index.ts';

/** What the main thread knows of its guest, and a new worker has to be told. */
export interface Residence {
  /** No other guest can come. */
  readonly occupied: boolean;
  /** The guest that lives here, also when this worker has not seen it come. */
  readonly uuid: string | undefined;
}

export interface ResidentGuestListener {
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

  constructor(listener: ResidentGuestListener) {
    this.listener = listener;
  }

  get isOccupied(): boolean {
    return this.residence.occupied;
  }

  /** What the main thread says. */
  set(residence: Residence): void {
    this.residence = residence;
    if (!residence.occupied) this.arrived = undefined;
  }

  /** It lives here from now on, not from when the main thread has heard of it. */
  came(machine: Machine): void {
    this.residence = { occupied: true, uuid: machine.description.uuid };
    this.arrived = machine;
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
}
