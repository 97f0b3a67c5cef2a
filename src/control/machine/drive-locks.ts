import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Logger, SternaError, toSternaError } from '../../base/index.ts';
import type { DriveSpec } from '../../guest/index.ts';
import { asHolder, type LockHolder, lifeOf, thisPlace, thisProcess } from '../state/lock-holder.ts';

/** Who uses the images, and how. */
export interface DriveUser {
  readonly agent: string;
  /** The guest's. */
  readonly uuid: string;
  /**
   * The guest runs elsewhere, and may come: its own process there may have the images open, too.
   * Which of the two writes is a matter of who owns the guest.
   */
  readonly isArriving: boolean;
}

/** What a lock file says. */
interface DriveLock extends LockHolder {
  readonly agent: string;
  readonly guest: string;
  readonly access: 'read' | 'write';
}

/** Where an image lies that this user must not lock, but may use. */
const UNLOCKABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOTSUP'];

/**
 * The images of a guest's disks, kept from other processes: any number may read one, or one guest
 * write it. Node has no flock(2), so each user of an image has a file beside it that says which
 * process it is. A user first writes its own and then looks for others: of two that come at once
 * the later one sees the earlier one's as a whole, and at most one gets the image.
 */
export class DriveLocks {
  private readonly files: string[] = [];

  private constructor() {}

  /** Throws E_DRIVE_LOCKED, naming the process that uses an image. Then nothing is locked. */
  static take(drives: readonly DriveSpec[], user: DriveUser, log: Logger): DriveLocks {
    const locks = new DriveLocks();
    try {
      for (const drive of drives) locks.add(drive, user, log);
      return locks;
    } catch (thrown) {
      locks.release();
      throw thrown;
    }
  }

  /** Idempotent. */
  release(): void {
    for (const file of this.files.splice(0)) remove(file);
  }

  private add({ file, isReadOnly }: DriveSpec, user: DriveUser, log: Logger): void {
    const image = realpathSync(file);
    const own: DriveLock = {
      ...thisProcess(),
      place: thisPlace(),
      agent: user.agent,
      guest: user.uuid,
      access: isReadOnly ? 'read' : 'write',
    };
    const path = `${lockPrefix(image)}${own.pid}-${randomBytes(4).toString('hex')}`;
    try {
      writeFileSync(path, `${JSON.stringify(own)}\n`, { mode: 0o644, flag: 'wx' });
      this.files.push(path);
    } catch (thrown) {
      const code = (thrown as NodeJS.ErrnoException).code ?? '';
      if (!UNLOCKABLE.includes(code)) throw toSternaError(thrown, 'E_FILE', `Cannot lock ${file}`);
      log.warn({ event: 'drive.not-locked', file, cause: code });
    }
    for (const [other, lock] of locksOf(image)) {
      if (other !== path && excludes(lock, own, user.isArriving)) heedOther(file, other, lock);
    }
  }
}

function lockPrefix(image: string): string {
  return `${image}.lock-`;
}

function locksOf(image: string): [string, DriveLock][] {
  const [folder, prefix] = [dirname(image), basename(lockPrefix(image))];
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix));
  return names.flatMap((name) => {
    const path = join(folder, name);
    const lock = readLock(path);
    return lock === undefined ? [] : [[path, lock] as [string, DriveLock]];
  });
}

function excludes(other: DriveLock, own: DriveLock, isArriving: boolean): boolean {
  if (other.access === 'read' && own.access === 'read') return false;
  return !isArriving || other.guest !== own.guest;
}

/** Removes what a dead process left behind; throws for one that lives, or may live. */
function heedOther(file: string, path: string, lock: DriveLock): void {
  const life = lifeOf(lock);
  if (life === 'dead') return remove(path);
  const { pid, agent, access, place } = lock;
  const where = life === 'elsewhere' ? ` on ${place?.host}` : '';
  const does = access === 'write' ? 'writes' : 'reads';
  throw new SternaError(
    'E_DRIVE_LOCKED',
    `Process ${pid}${where} (agent ${agent}) ${does} the image ${file}`,
    { detail: { file, pid, agent, lock: path, ...(where === '' ? {} : { host: place?.host }) } },
  );
}

/** Undefined when it is gone, not whole yet, or none of ours. */
function readLock(path: string): DriveLock | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const holder = asHolder(value);
    if (holder === undefined) return undefined;
    const { agent, guest, access } = value as Record<string, unknown>;
    if (typeof agent !== 'string' || typeof guest !== 'string') return undefined;
    return { ...holder, agent, guest, access: access === 'read' ? 'read' : 'write' };
  } catch {
    return undefined;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already; a file that stays is recognised as stale.
  }
}
