import { type Logger, SternaError } from '../../base/index.ts';
import type { GuestSlot } from '../guest-slot.ts';
import type { MigrationHost } from '../migration/migration-host.ts';
import type { Migrations } from '../migrations.ts';
import { systemWallClock } from '../wall-clock.ts';
import type { DirtyRate, DirtyRateRequest } from './dirty-rate.ts';
import { DirtyRateStatus } from './dirty-rate-status.ts';
import type { Observation, ObservationRequest } from './observer.ts';

export interface ObservationsOptions {
  readonly host: MigrationHost;
  readonly guests: GuestSlot;
  readonly migrations: Migrations;
  readonly log: Logger;
}

/**
 * The main thread's half: what clients ask about the guest's dirty pages, and what was found. A
 * migration that begins ends an observation; none begins while a migration runs.
 */
export class Observations {
  readonly dirtyRate = new DirtyRateStatus();
  private readonly options: ObservationsOptions;

  constructor(options: ObservationsOptions) {
    this.options = options;
  }

  /** `calc-dirty-rate`: returns at once. Throws E_STATE. */
  measureDirtyRate(request: DirtyRateRequest): void {
    this.refuseWhileMoving();
    this.dirtyRate.begin(request, Math.floor(systemWallClock() / 1e6));
    void this.observe(request).then(
      (measured) => this.dirtyRate.end(measured as DirtyRate),
      (thrown: unknown) => {
        this.options.log.warn({ event: 'dirty-rate.failed', error: String(thrown) });
        this.dirtyRate.fail(thrown);
      },
    );
  }

  private observe(request: ObservationRequest): Promise<Observation> {
    const { host, guests } = this.options;
    return host.observe(request, guests.need().handles());
  }

  /** The logs that are flipped are those of a migration. */
  private refuseWhileMoving(): void {
    const { guests, migrations } = this.options;
    if (migrations.isRunning) {
      throw new SternaError('E_STATE', "There's a migration process in progress");
    }
    if (!guests.isOwned) throw new SternaError('E_STATE', 'There is no guest here to observe');
  }
}
