import { SternaError, type VcpuDirtyLimit } from '../../base/index.ts';
import type { GuestSlot } from '../guest-slot.ts';
import type { MigrationHost } from '../migration/migration-host.ts';
import type { Migrations } from '../migrations.ts';

/** `set-vcpu-dirty-limit` and its like: asked here, kept by the worker that owns the dirty logs. */
export class DirtyLimits {
  private readonly host: MigrationHost;
  private readonly guests: GuestSlot;
  private readonly migrations: Migrations;

  constructor(host: MigrationHost, guests: GuestSlot, migrations: Migrations) {
    this.host = host;
    this.guests = guests;
    this.migrations = migrations;
  }

  /** MB/s, 0: none; without `vcpu` for each. Rejects with E_CONFIG_INVALID or E_STATE. */
  async set(vcpu: number | undefined, limit: number): Promise<void> {
    if (limit < 0) {
      const text = "Parameter 'dirty-rate' expects MB/s, or 0 for no limit";
      throw new SternaError('E_CONFIG_INVALID', text, { detail: { value: limit } });
    }
    if (limit === 0) return this.cancel(vcpu);
    const machine = this.addressed(vcpu);
    const { vcpuDirtyLimitPeriodMs: periodMs } = this.migrations.parameters;
    await this.host.setDirtyLimit({ machine: machine.handles(), vcpu, limit, periodMs });
  }

  /** Harmless where there is none. Rejects as `set`. */
  async cancel(vcpu: number | undefined): Promise<void> {
    this.addressed(vcpu);
    await this.host.cancelDirtyLimit(vcpu);
  }

  query(): Promise<readonly VcpuDirtyLimit[]> {
    return this.host.queryDirtyLimit();
  }

  private addressed(vcpu: number | undefined) {
    if (this.migrations.isRunning) {
      throw new SternaError('E_STATE', "There's a migration process in progress");
    }
    if (!this.guests.isOwned) throw new SternaError('E_STATE', 'There is no guest here');
    const machine = this.guests.need();
    const { vcpuCount } = machine.description;
    if (vcpu === undefined || (vcpu >= 0 && vcpu < vcpuCount)) return machine;
    throw new SternaError('E_CONFIG_INVALID', 'Incorrect cpu index specified', {
      detail: { 'cpu-index': vcpu, expected: `0 to ${vcpuCount - 1}` },
    });
  }
}
