import { NAME_LENGTH_MAX, type OwnershipAnswer } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { PAGE_COUNT_MAX } from '../body/page-count.ts';
import { EPOCH_MAX, MIGRATION_ID, SECRET } from './hello.ts';
import { UUID } from './hello-machine.ts';

/**
 * `recover` asks about a migration whose link was lost, and goes on with it; `preempt` is a second
 * way for the pages that a vCPU waits for, `multifd` one of several for all pages before the
 * switch.
 */
export type JoinRole = (typeof JOIN_ROLES)[number];
export const JOIN_ROLES = ['recover', 'preempt', 'multifd'] as const;

/** First message of a further connection of a migration that HELLO began. */
export interface JoinBody {
  readonly protocol: number;
  /** For logs only. */
  readonly software: string;
  readonly role: JoinRole;
  readonly uuid: string;
  readonly migrationId: string;
  /** The epoch that is handed over: that of HELLO plus one. */
  readonly epoch: number;
  /** That of HELLO. */
  readonly secret: string;
  /** The epoch that this side runs by its operator's word, when it only tells that. */
  readonly claimedEpoch?: number;
  /** False: this side takes no journal any more. Absent: as HELLO agreed. */
  readonly journal?: boolean;
}

/**
 * What the destination's records say of the epoch that it was to be granted:
 * `owner`: it has the guest; `abandoned`: it will never run that epoch, which is durable before it
 * is said; `moved`: it had the guest and has given it on; `lost`: it had the guest, and the process
 * that ran it is gone; `none`: it knows nothing of it, and nothing follows from that.
 */
export const RECOVERY_OUTCOMES: readonly OwnershipAnswer[] = [
  ...(['owner', 'abandoned', 'moved', 'lost', 'none'] as const),
];

/** The answer to JOIN with the role `recover`. */
export interface RecoveryBody {
  readonly outcome: OwnershipAnswer;
  /** The epoch that JOIN named. */
  readonly epoch: number;
  /**
   * The migration goes on over this connection: the received maps follow, then RECOVERED. False:
   * there is nothing to go on with.
   */
  readonly continues: boolean;
  /** The guest was started at the destination. */
  readonly running: boolean;
}

/** The received maps were sent; page requests and pages may follow. */
export interface RecoveredBody {
  readonly missingPages: number;
}

export function encodeJoin(body: JoinBody): Uint8Array {
  return packBody('JOIN', {
    protocol: body.protocol,
    software: body.software,
    role: body.role,
    uuid: body.uuid,
    migrationId: body.migrationId,
    epoch: body.epoch,
    secret: body.secret,
    ...(body.claimedEpoch === undefined ? {} : { claimedEpoch: body.claimedEpoch }),
    ...(body.journal === undefined ? {} : { journal: body.journal }),
  });
}

export function decodeJoin(bytes: Uint8Array): BodyResult<JoinBody> {
  return readBody('JOIN', bytes, (fields) => ({
    protocol: fields.integer('protocol', 1, 255),
    software: fields.text('software', NAME_LENGTH_MAX),
    role: fields.choice('role', JOIN_ROLES),
    uuid: fields.text('uuid', 36, UUID),
    migrationId: fields.text('migrationId', 64, MIGRATION_ID),
    epoch: fields.integer('epoch', 1, EPOCH_MAX),
    secret: fields.text('secret', 32, SECRET),
    ...(fields.has('claimedEpoch')
      ? { claimedEpoch: fields.integer('claimedEpoch', 1, EPOCH_MAX) }
      : {}),
    ...(fields.has('journal') ? { journal: fields.boolean('journal') } : {}),
  }));
}

export function encodeRecovery(body: RecoveryBody): Uint8Array {
  return packBody('RECOVERY', {
    outcome: body.outcome,
    epoch: body.epoch,
    continues: body.continues,
    running: body.running,
  });
}

export function decodeRecovery(bytes: Uint8Array): BodyResult<RecoveryBody> {
  return readBody('RECOVERY', bytes, (fields) => ({
    outcome: fields.choice('outcome', RECOVERY_OUTCOMES),
    epoch: fields.integer('epoch', 1, EPOCH_MAX),
    continues: fields.boolean('continues'),
    running: fields.boolean('running'),
  }));
}

export function encodeRecovered(body: RecoveredBody): Uint8Array {
  return packBody('RECOVERED', { missingPages: body.missingPages });
}

export function decodeRecovered(bytes: Uint8Array): BodyResult<RecoveredBody> {
  return readBody('RECOVERED', bytes, (fields) => ({
    missingPages: fields.integer('missingPages', 0, PAGE_COUNT_MAX),
  }));
}

/** The answer to JOIN in another role than `recover`: the connection belongs to its migration. */
export function encodeAttached(): Uint8Array {
  return packBody('ATTACHED', {});
}

export function decodeAttached(bytes: Uint8Array): BodyResult<object> {
  return readBody('ATTACHED', bytes, () => ({}));
}
