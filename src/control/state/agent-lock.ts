import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { SternaError } from '../../base/index.ts';
import { asHolder, type LockHolder, lifeOf, thisProcess } from './lock-holder.ts';
import { stateDirectoryError } from './state-directory-error.ts';

/**
 * A file that exists while an agent lives and says which. Node has no flock(2), so a file left
 * behind by a killed agent is recognised by its process, and taken over by moving it away: only one
 * of several can move the same file.
 */
export class AgentLock {
  private readonly path: string;
  private readonly content: string;
  private held = true;

  private constructor(path: string, content: string) {
    this.path = path;
    this.content = content;
  }

  /** Throws E_STATE_DIRECTORY when a living process has it, or the file cannot be written. */
  static acquire(path: string): AgentLock {
    const content = `${JSON.stringify(thisProcess())}\n`;
    const draft = `${path}.${process.pid}`;
    try {
      // Linked into place, so that nobody ever reads a lock that is half written.
      writeFileSync(draft, content, { mode: 0o600 });
      if (!link(draft, path)) {
        takeOver(path);
        if (!link(draft, path)) throw heldError(path, readHolder(path)?.pid);
      }
    } catch (thrown) {
      throw stateDirectoryError(path, 'lock', thrown);
    } finally {
      remove(draft);
    }
    return new AgentLock(path, content);
  }

  /** Idempotent. */
  release(): void {
    if (!this.held) return;
    this.held = false;
    if (read(this.path) === this.content) remove(this.path);
  }
}

/** Moves the lock of a dead process away. Throws when its process lives. */
function takeOver(path: string): void {
  const stale = read(path);
  // Released in this very moment.
  if (stale === undefined) return;
  const holder = parseHolder(stale);
  if (holder !== undefined && lifeOf(holder) !== 'dead') throw heldError(path, holder.pid);
  const moved = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, moved);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw thrown;
  }
  // Another agent may have taken over between the look and the move; then what was moved is its
  // lock: it goes back.
  if (read(moved) !== stale) link(moved, path);
  remove(moved);
}

function heldError(path: string, pid: number | undefined): SternaError {
  const text = pid === undefined ? 'Another agent' : `Process ${pid}`;
  return new SternaError('E_STATE_DIRECTORY', `${text} uses this state directory`, {
    detail: { path, ...(pid === undefined ? {} : { pid }) },
  });
}

function readHolder(path: string): LockHolder | undefined {
  const text = read(path);
  return text === undefined ? undefined : parseHolder(text);
}

function parseHolder(text: string): LockHolder | undefined {
  try {
    return asHolder(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** False when the name is taken. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already; a file that stays is recognised as stale.
  }
}
