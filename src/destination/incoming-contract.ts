import type {
  Clock,
  Logger,
  MigrationInfo,
  OwnershipLedger,
  ReachFault,
  SternaError,
} from '../base/index.ts';
import type { Channel } from '../channel/index.ts';
import type { Machine, MachineFactory } from '../guestmem/index.ts';

/**
 * Everything an incoming migration needs; nothing of it is global, so the simulator passes its own.
 */
export interface IncomingOptions {
  /** Connected, not started. */
  readonly channel: Channel;
  readonly clock: Clock;
  readonly ledger: OwnershipLedger;
  /** For tests that end the process at a named moment. */
  readonly reached?: ReachFault;
  readonly log: Logger;
  readonly factory: MachineFactory;
  /** The only guest that may come when the source asks for `validate-uuid`. */
  readonly expectedUuid: string | undefined;
  /** QEMU's -S: load the guest and do not start it. */
  readonly startPaused: boolean;
  /** Silence of the source after which the migration failed, milliseconds. */
  readonly stallTimeoutMs: number;
  readonly observer: { info(info: MigrationInfo): void };
}

export type IncomingOutcome =
  | { readonly status: 'completed'; readonly machine: Machine }
  | { readonly status: 'failed' | 'cancelled'; readonly error: SternaError };
