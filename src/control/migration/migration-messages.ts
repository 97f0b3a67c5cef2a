import type {
  ErrorReport,
  LogLevel,
  MigrationCapabilities,
  MigrationInfo,
  MigrationParameters,
  PlannedFault,
} from '../../base/index.ts';
import type { SecuritySettings } from '../../channel/index.ts';
import type { MachineDescription, PauseReason } from '../../guestmem/index.ts';
import type { Claim } from '../../source/index.ts';
import type { HostDevices } from '../machine/host-devices.ts';
import type { MachineHandles } from '../machine/local-machine.ts';
import type { ObservationRequest } from '../observation/observer.ts';
import type { Residence } from './resident-guest.ts';

/** What the worker is born with (`workerData`). */
export interface WorkerSettings {
  readonly name: string;
  readonly logLevel: LogLevel;
  readonly stateDirectory: string;
  /** Where the process is to die. */
  readonly fault?: PlannedFault | undefined;
  readonly security: SecuritySettings;
  /** What is here for the disks of a guest that comes. */
  readonly drives: HostDevices['shapes'];
}

export interface ListenRequest {
  /** `tcp:HOST:PORT` or `file:PATH`. */
  readonly uri: string;
  readonly expectedUuid: string | undefined;
  readonly startPaused: boolean;
  readonly stallTimeoutMs: number;
  readonly resident: Residence;
}

export interface OutgoingRequest {
  readonly uri: string;
  readonly migrationId: string;
  /** `migrationId` is its hash. */
  readonly secret: string;
  readonly epoch: number;
  readonly machine: MachineHandles;
  readonly parameters: MigrationParameters;
  readonly capabilities: MigrationCapabilities;
  /** The migration is one that another process began; `epoch` is the one that it handed over. */
  readonly takeUp?: TakeUpRequest;
}

/** What a page spill says of a migration to go on with. */
export interface TakeUpRequest {
  /** For each block, the pages that are in the machine. */
  readonly bitmaps: readonly Uint8Array[];
  /** Where it lies, to be removed at the end. */
  readonly spill: string;
}

/** What a migration to `uri` would find on the way. */
export interface ProbeRequest {
  readonly uri: string;
  readonly durationMs: number;
  readonly stallTimeoutMs: number;
}

export interface ClaimRequest extends Claim {
  /** Where the destination was. */
  readonly uri: string;
}

/** A dirty limit outside of a migration. */
export interface DirtyLimitRequest {
  readonly machine: MachineHandles;
  /** Undefined: each. */
  readonly vcpu: number | undefined;
  /** MB/s. */
  readonly limit: number;
  readonly periodMs: number;
}

/** What a new incoming migration goes by; those under way keep what they began with. */
export interface IncomingSettings {
  readonly startPaused: boolean;
  readonly stallTimeoutMs: number;
}

/** Main thread -> worker, each answered by `answered` with the same `id` where there is one. */
export type HostMessage =
  | { readonly type: 'listen'; readonly id: number; readonly request: ListenRequest }
  | { readonly type: 'outgoing'; readonly request: OutgoingRequest }
  | { readonly type: 'cancel'; readonly id: number }
  /** The one that goes out has nothing to migrate any more. */
  | { readonly type: 'guest-ended' }
  /** Which migration: the one that goes out. */
  | { readonly type: 'start-postcopy'; readonly id: number }
  | { readonly type: 'pause-link'; readonly id: number; readonly side: MigrationInfo['side'] }
  | { readonly type: 'resume'; readonly id: number; readonly uri: string | undefined }
  /** Listens for the further connections of a migration in post-copy, at another address. */
  | { readonly type: 'recover'; readonly id: number; readonly uri: string }
  /** Answered with the new epoch. */
  | { readonly type: 'take-back'; readonly id: number }
  /** An operator decides who has the guest of the last migration. */
  | { readonly type: 'end-question'; readonly id: number }
  /** A guest was taken back, which its destination has to be told. */
  | { readonly type: 'claim'; readonly request: ClaimRequest }
  | { readonly type: 'set-parameters'; readonly changes: Partial<MigrationParameters> }
  | { readonly type: 'set-incoming'; readonly settings: IncomingSettings }
  | { readonly type: 'set-resident'; readonly resident: Residence }
  | { readonly type: 'dirty-limit'; readonly id: number; readonly request: DirtyLimitRequest }
  | { readonly type: 'cancel-dirty-limit'; readonly id: number; readonly vcpu: number | undefined }
  /** Answered with the limits that there are. */
  | { readonly type: 'query-dirty-limit'; readonly id: number }
  /** Answered at its end with what was observed. */
  | {
      readonly type: 'observe';
      readonly id: number;
      readonly request: ObservationRequest;
      readonly machine: MachineHandles;
    }
  | { readonly type: 'end-observation'; readonly id: number }
  /** Answered with the measurement. */
  | { readonly type: 'probe-link'; readonly id: number; readonly request: ProbeRequest }
  | { readonly type: 'shutdown'; readonly id: number }
  | { readonly type: 'answered'; readonly id: number; readonly answer: Answer };

/** Worker -> main thread. */
export type ServiceMessage =
  | { readonly type: 'info'; readonly info: MigrationInfo }
  | { readonly type: 'outgoing-ended'; readonly migrationId: string }
  | { readonly type: 'incoming-ended'; readonly completed: boolean }
  /** The destination of that migration knows that its guest was taken back. */
  | { readonly type: 'claim-answered'; readonly migrationId: string }
  | {
      readonly type: 'create-machine';
      readonly id: number;
      readonly description: MachineDescription;
    }
  | { readonly type: 'destroy-machine'; readonly id: number }
  /** An operator's word gave the guest that lives here to another agent: it stands still. */
  | { readonly type: 'yield-guest' }
  /** That is durable now: nothing brings it back but another migration. */
  | { readonly type: 'guest-yielded' }
  | { readonly type: 'paused' }
  | { readonly type: 'resumed'; readonly reason: PauseReason }
  | { readonly type: 'answered'; readonly id: number; readonly answer: Answer };

export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: ErrorReport };

export type CancelOutcome = 'cancelling' | 'too-late' | 'nothing-runs';
