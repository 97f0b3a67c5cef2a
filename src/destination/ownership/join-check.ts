import { timingSafeEqual } from 'node:crypto';
import { SternaError } from '../../base/index.ts';
import { type HelloBody, type JoinBody, migrationIdOf } from '../../protocol/index.ts';

/** A further connection shows that it belongs to the migration that `hello` began. */
export function checkJoin(join: JoinBody, hello: HelloBody | undefined, epoch: number): void {
  const { secret, machine } = hello ?? {};
  if (secret === undefined || !timingSafeEqual(Buffer.from(secret), Buffer.from(join.secret))) {
    throw stranger(join);
  }
  if (join.epoch === epoch && join.uuid === machine?.uuid) return;
  throw refusedJoin('Connection is for another guest or epoch', join);
}

/**
 * The same where a record is all that is known of the migration. It has no secret, but the name by
 * which it knows the migration is made from it.
 */
export function checkJoinByName(join: JoinBody): void {
  if (join.role !== 'recover') throw refusedJoin('There is no such migration here', join);
  if (migrationIdOf(join.secret) !== join.migrationId) throw stranger(join);
}

function stranger(join: JoinBody): SternaError {
  return refusedJoin('Connection does not belong to the migration that it names', join);
}

function refusedJoin(text: string, { role, migrationId, epoch }: JoinBody): SternaError {
  return new SternaError('E_RECOVERY_REFUSED', text, { detail: { role, migrationId, epoch } });
}
