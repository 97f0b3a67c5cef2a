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
import type { JoinBody } from '../protocol/index.ts';
import type { IncomingLink } from './incoming-link.ts';

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
  /** Absent: connections that join are answered by the records alone. */
  readonly joining?: Joining;
  /** Absent: no link is measured here. */
  readonly probing?: Probing;
  /** QEMU's -S: load the guest and do not start it. */
  readonly startPaused: boolean;
  /** Silence of the source after which the migration failed, milliseconds. */
  readonly stallTimeoutMs: number;
  readonly observer: { info(info: MigrationInfo): void };
}

/** Where a further connection finds the migration that it is for. */
export interface Joining {
  /** The migration of that name, if it is under way here. */
  find(migrationId: string): JoinTarget | undefined;
  /** The guest lives in this process. */
  isHere(uuid: string): boolean;
  /** Nothing else has it in hand. A migration out of here that has is cancelled; ask again. */
  mayYield(uuid: string): boolean;
  /** It must stand still here when this returns: an operator's word gave it to the source. */
  pause(uuid: string): void;
  /** That is durable now. */
  yielded(uuid: string): void;
}

/** Whether a source may measure its link to here. */
export interface Probing {
  /** Why not now; undefined: the probe goes on until it is over, or is refused later. */
  admit(probe: RunningProbe): SternaError | undefined;
}

export interface RunningProbe {
  /** False once its figures are told, or it is over: another one may be made then. */
  readonly isMeasuring: boolean;
  /** Ends it, and tells the source why. */
  refuse(error: SternaError): void;
}

/** A migration that can be joined. */
export interface JoinTarget {
  /** Takes the connection over and answers on it. Rejects with why not. */
  attach(join: JoinBody, link: IncomingLink): Promise<void>;
}

export type IncomingOutcome =
  /** The connection was for another migration, or only asked. */
  | { readonly status: 'joined'; readonly error?: undefined }
  | {
      readonly status: 'completed';
      readonly machine: Machine;
      /** By an operator's word it runs at the source since, and stands still here. */
      readonly hasYielded: boolean;
      readonly error?: undefined;
    }
  | { readonly status: 'failed' | 'cancelled'; readonly error: SternaError };
