import type {
  Clock,
  Logger,
  MigrationCapabilities,
  MigrationInfo,
  MigrationParameters,
  OwnershipLedger,
  ReachFault,
  SternaError,
} from '../base/index.ts';
import type { Channel } from '../channel/index.ts';
import type { Machine } from '../guestmem/index.ts';
import type { CodecHelpers } from './codec/codec-helpers.ts';
import type { PolicyModule } from './policy/policy-module.ts';
import type { Spill } from './postcopy/spill/spill.ts';

/**
 * Everything an outgoing migration needs; nothing of it is global, so the simulator passes its own.
 */
export interface OutgoingOptions {
  readonly machine: Machine;
  /** Connected, not started. */
  readonly channel: Channel;
  /**
   * Makes another connection to the same destination: after a link was lost, and for pages that a
   * vCPU waits for. Without it, or without `secret`, a link that is lost in post-copy waits for
   * `resume`.
   */
  readonly connect?: Connect;
  readonly clock: Clock;
  readonly ledger: OwnershipLedger;
  /** For tests that end the process at a named moment. */
  readonly reached?: ReachFault;
  readonly log: Logger;
  readonly migrationId: string;
  /** 32 random hexadecimal digits that further connections show. Absent: there will be none. */
  readonly secret?: string;
  /** Where pages that are missing at the hand-over are kept, should this process be lost. */
  readonly spill?: Spill | undefined;
  /** Threads that compress pages; without them, and without `x-codec=none`, the engine's does. */
  readonly codecHelpers?: CodecHelpers | undefined;
  /** The peer as the user named it, for records and errors. */
  readonly peer: string;
  readonly parameters: MigrationParameters;
  readonly capabilities: MigrationCapabilities;
  /** The user's own policy, where `x-policy` is a path. Absent: `auto` decides, and says why. */
  readonly policyModule?: PolicyModule | undefined;
  readonly observer: MigrationObserver;
}

/** Rejects with an error of a channel, or E_CANCELLED when the signal was raised. */
export type Connect = (signal: AbortSignal) => Promise<Channel>;

export interface MigrationObserver {
  /**
   * After each change of anything that matters: status, pass, verification; and every 50 ms while
   * active.
   */
  info(info: MigrationInfo): void;
}

export interface MigrationOutcome {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error: SternaError | undefined;
}
