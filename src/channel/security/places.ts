/** One connection, from somewhere. */
export interface Place {
  /** The host that it comes from. */
  readonly host: string;
  /** Makes room for another one. */
  readonly drop: () => void;
}

/** How many connections may be there at a time, in all and from one host. */
export interface PlaceLimits {
  readonly total: number;
  readonly perHost: number;
}

/** The connections of a port, oldest first. */
export class Places {
  private readonly limits: PlaceLimits;
  private readonly taken = new Set<Place>();

  constructor(limits: PlaceLimits) {
    this.limits = limits;
  }

  /** False when there is no room for this one; then nothing has changed. */
  take(place: Place): boolean {
    if (this.inTheWay(place.host) !== undefined) return false;
    this.taken.add(place);
    return true;
  }

  /**
   * Makes room by dropping the oldest one. So a crowd that does nothing keeps nobody out who does
   * not take longer than the crowd needs to come again.
   */
  takeFromOldest(place: Place): void {
    const oldest = this.inTheWay(place.host);
    if (oldest !== undefined) {
      this.taken.delete(oldest);
      oldest.drop();
    }
    this.taken.add(place);
  }

  leave(place: Place): void {
    this.taken.delete(place);
  }

  private inTheWay(host: string): Place | undefined {
    const same = [...this.taken].filter((place) => place.host === host);
    if (same.length >= this.limits.perHost) return same[0];
    const [oldest] = this.taken;
    return this.taken.size >= this.limits.total ? oldest : undefined;
  }
}
