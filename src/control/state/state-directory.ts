import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { AgentLock } from './agent-lock.ts';
import { stateDirectoryError } from './state-directory-error.ts';

/** Where the agent `name` keeps its state unless it is told otherwise (XDG Base Directory). */
export function defaultStateDirectory(name: string, environment: NodeJS.ProcessEnv): string {
  const configured = environment.XDG_STATE_HOME;
  // The XDG specification tells to ignore a relative path.
  const base =
    configured !== undefined && isAbsolute(configured)
      ? configured
      : join(homedir(), '.local', 'state');
  return join(base, 'sterna', name);
}

/** The directory of one agent, for this user only, and locked while the agent lives. */
export class StateDirectory {
  readonly path: string;
  private readonly lock: AgentLock;

  private constructor(path: string, lock: AgentLock) {
    this.path = path;
    this.lock = lock;
  }

  /**
   * Creates what is missing. Throws E_STATE_DIRECTORY, with the process that holds it if that is
   * the reason.
   */
  static open(path: string): StateDirectory {
    try {
      createDirectories(resolve(path, 'ownership'));
      // The directory may be older than this agent; what lies in it is nobody else's to read.
      chmodSync(path, 0o700);
    } catch (thrown) {
      throw stateDirectoryError(path, 'create', thrown);
    }
    return new StateDirectory(path, AgentLock.acquire(join(path, 'agent.lock')));
  }

  /** The socket of QMP when no other is asked for. */
  get qmpSocketPath(): string {
    return join(this.path, 'qmp.sock');
  }

  /** Lets another agent have the directory. */
  close(): void {
    this.lock.release();
  }
}

/**
 * What `recursive: true` does, one level at a time: in a place where nothing can be created (below
 * /proc) Node's own never returns.
 */
function createDirectories(path: string): void {
  if (existsSync(path)) return;
  createDirectories(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}
