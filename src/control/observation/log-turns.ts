import { SternaError } from '../../base/index.ts';
import type { Machine } from '../../guestmem/index.ts';
import type { DirtyLimitLoop } from '../dirty-limit/dirty-limit-loop.ts';
import type { Observation, ObservationRequest, Observer } from './observer.ts';

/**
 * Who flips the dirty logs of the guest: one at a time, for what one reads there is missing to the
 * others. A migration goes first and ends an observation; an observation has the dirty limits wait;
 * those take all other time. A throttle stays as it is while its limit waits.
 */
export class LogTurns {
  private readonly limits: DirtyLimitLoop;
  private readonly observer: Observer;
  private migrations = 0;
  private isObserving = false;

  constructor(limits: DirtyLimitLoop, observer: Observer) {
    this.limits = limits;
    this.observer = observer;
  }

  /** Resolves when the logs are the migration's, until `endMigration`. Never rejects. */
  async beginMigration(): Promise<void> {
    this.migrations += 1;
    await Promise.all([this.observer.end(), this.limits.hold()]);
  }

  /** `guestLeft`: its limits were its own. */
  endMigration(guestLeft: boolean): void {
    this.migrations -= 1;
    if (guestLeft) this.limits.clear();
    this.limits.release();
  }

  /** Resolves at its end. Rejects with E_STATE in a migration, and while there is another one. */
  async observe(machine: Machine, request: ObservationRequest): Promise<Observation> {
    this.refuseInMigration();
    if (this.isObserving) throw new SternaError('E_STATE', 'The guest is observed already');
    this.isObserving = true;
    try {
      await this.limits.hold();
      // One may have begun while the last flip of the limits was waited for.
      this.refuseInMigration();
      return await this.observer.observe(machine, request);
    } finally {
      this.isObserving = false;
      this.limits.release();
    }
  }

  private refuseInMigration(): void {
    if (this.migrations === 0) return;
    throw new SternaError('E_STATE', "There's a migration process in progress");
  }
}
