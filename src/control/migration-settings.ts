import {
  defaultCapabilities,
  defaultParameters,
  type MigrationCapabilities,
  type MigrationParameters,
} from '../base/index.ts';
import { refuseCapabilities, refuseParameters } from './migration-conflicts.ts';

/** What is set for the migrations of one agent. Who may change it when is not decided here. */
export class MigrationSettings {
  private values: MigrationParameters = defaultParameters();
  private switches: MigrationCapabilities = defaultCapabilities();

  get parameters(): MigrationParameters {
    return this.values;
  }

  get capabilities(): MigrationCapabilities {
    return this.switches;
  }

  /** Neither of what this goes by changes while a migration runs. */
  get mayPostcopy(): boolean {
    const { mode } = this.values;
    return this.switches['postcopy-ram'] || mode === 'postcopy' || mode === 'hybrid';
  }

  /** Throws E_CONFIG_INVALID for what does not go together, and then nothing was changed. */
  change(changes: Partial<MigrationParameters>): void {
    const next = { ...this.values, ...changes };
    refuseParameters(next);
    this.values = next;
  }

  /** Throws E_CONFIG_INVALID for what does not go together, and then nothing was changed. */
  enable(changes: Partial<MigrationCapabilities>): void {
    const next = { ...this.switches, ...changes };
    refuseCapabilities(next);
    this.switches = next;
  }
}
