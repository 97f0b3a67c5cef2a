import { type Deferred, deferred, isOver, type MigrationInfo } from '../../base/index.ts';

/**
 * What the worker has in hand, out of here and into here, until it is through with it: a migration
 * is over before that, but for its proof and its farewell.
 */
export class Passages {
  private departingId: string | undefined;
  private departure: Deferred<void> | undefined;
  private arrival: Deferred<void> | undefined;

  /** The migration out of here. */
  get outgoingId(): string | undefined {
    return this.departingId;
  }

  /** Another attempt may begin before the worker was through with the last one. */
  departs(migrationId: string): void {
    this.departingId = migrationId;
    this.departure ??= deferred();
  }

  departureEnded(): void {
    this.departingId = undefined;
    this.departure?.resolve();
    this.departure = undefined;
  }

  /** What is known of a migration now. */
  note(info: MigrationInfo): void {
    if (isArriving(info)) this.arrival ??= deferred();
  }

  arrivalEnded(): void {
    this.arrival?.resolve();
    this.arrival = undefined;
  }

  /** Resolves when there is none out of here. */
  async departed(): Promise<void> {
    await this.departure?.promise;
  }

  /** Resolves when there is none. */
  async over(): Promise<void> {
    await Promise.all([this.departure?.promise, this.arrival?.promise]);
  }
}

/** Of a destination that only listens nothing is to be awaited. */
export function isArriving({ side, status }: MigrationInfo): boolean {
  return side === 'destination' && status !== 'setup' && !isOver(status);
}
