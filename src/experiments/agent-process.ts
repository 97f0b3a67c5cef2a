import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Clock, deferred, SternaError, systemClock } from '../base/index.ts';
import { QmpClient } from '../control/client/index.ts';

/** The one line that an agent prints when it can be used. */
export interface ReadyLine {
  readonly event: 'ready';
  readonly name: string;
  readonly pid: number;
  /** Addresses of its QMP sockets, with real ports. */
  readonly qmp: readonly string[];
  /** Where a destination listens, with its real port; null at a source. */
  readonly listen: string | null;
  /** Where clients of its guest connect, with its real port; with --service only. */
  readonly service?: string;
}

export interface AgentProcessOptions {
  readonly role: 'source' | 'destination';
  /** Everything after `sterna source` or `sterna destination`. */
  readonly arguments: readonly string[];
  /** The whole environment of the child; by default the parent's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Each line of its log (standard error). */
  readonly onLog?: (line: string) => void;
  readonly readyTimeoutMs?: number;
  readonly clock?: Clock;
}

export interface AgentExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const READY_TIMEOUT_MS = 20_000;
/** How long an agent may take to end by itself before it is killed. */
const STOP_TIMEOUT_MS = 5_000;
/** Log lines kept for a failure's report. */
const LOG_LINES_KEPT = 50;

/** `bin/sterna` of this checkout; the path is the same seen from `src/` and from `dist/`. */
export function sternaExecutable(): string {
  return fileURLToPath(new URL('../../bin/sterna', import.meta.url));
}

/**
 * One `sterna source` or `sterna destination` as a child process. It cannot outlive its parent: it
 * is killed when the parent exits, and ends by itself when the pipe to its standard input breaks (a
 * parent that got SIGKILL).
 */
export class AgentProcess {
  readonly ready: ReadyLine;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<AgentExit>;
  private readonly child: ChildProcess;
  private readonly clock: Clock;
  private readonly log: readonly string[];

  private constructor(started: StartedChild, ready: ReadyLine, clock: Clock) {
    this.child = started.child;
    this.exited = started.exited;
    this.log = started.log;
    this.ready = ready;
    this.clock = clock;
  }

  /**
   * Resolves when the agent is ready. Rejects when it ends before or says nothing; then no process
   * is left.
   */
  static async start(options: AgentProcessOptions): Promise<AgentProcess> {
    const clock = options.clock ?? systemClock();
    const started = startChild(options);
    const abort = new AbortController();
    try {
      const ready = await Promise.race([
        started.ready,
        started.exited.then((exit) => {
          throw agentError(`${options.role} ended before it was ready`, started.log, { ...exit });
        }),
        clock.sleep(options.readyTimeoutMs ?? READY_TIMEOUT_MS, abort.signal).then(() => {
          throw agentError(`${options.role} was not ready in time`, started.log, {});
        }),
      ]);
      return new AgentProcess(started, ready, clock);
    } catch (error) {
      started.child.kill('SIGKILL');
      await started.exited;
      throw error;
    } finally {
      abort.abort();
    }
  }

  get pid(): number {
    return this.ready.pid;
  }

  /** The last lines of its log, oldest first. */
  get logLines(): readonly string[] {
    return this.log;
  }

  /** The first of its QMP addresses. */
  get qmpAddress(): string {
    const [address] = this.ready.qmp;
    if (address === undefined) throw agentError('The agent has no QMP socket', this.log, {});
    return address;
  }

  /** A new QMP connection; several may be open at once. */
  connect(): Promise<QmpClient> {
    return QmpClient.connect(this.qmpAddress);
  }

  /** Asks it to end, kills it when it does not. Resolves when it is gone. */
  async stop(): Promise<AgentExit> {
    this.child.kill('SIGTERM');
    const abort = new AbortController();
    const impatient = this.clock.sleep(STOP_TIMEOUT_MS, abort.signal).then(() => {
      if (!abort.signal.aborted) this.child.kill('SIGKILL');
    });
    const exit = await this.exited;
    abort.abort();
    await impatient;
    return exit;
  }

  /** As a crash: no clean-up, no farewell. Resolves when it is gone. */
  kill(): Promise<AgentExit> {
    this.child.kill('SIGKILL');
    return this.exited;
  }
}

interface StartedChild {
  readonly child: ChildProcess;
  readonly ready: Promise<ReadyLine>;
  readonly exited: Promise<AgentExit>;
  readonly log: string[];
}

function startChild(options: AgentProcessOptions): StartedChild {
  const ready = deferred<ReadyLine>();
  const exited = deferred<AgentExit>();
  const log: string[] = [];
  const child = spawn(
    process.execPath,
    [sternaExecutable(), options.role, '--exit-with-parent', ...options.arguments],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A process group of its own: Ctrl-C is for the parent, which may first want to cancel a
      // migration.
      detached: true,
      ...(options.environment === undefined ? {} : { env: options.environment }),
    },
  );
  const killNow = () => child.kill('SIGKILL');
  process.once('exit', killNow);
  child.once('error', (cause) => ready.reject(agentError('Cannot start node', log, { cause })));
  // `close` comes after `exit`, when the output was read to its end: the log is complete.
  child.once('close', (code, signal) => {
    process.removeListener('exit', killNow);
    exited.resolve({ code, signal });
  });
  // Writing to a child that is gone raises EPIPE here; `close` tells the same story.
  child.stdin.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => {
    const parsed = parseReadyLine(line);
    if (parsed === undefined) log.push(`(standard output) ${line}`);
    else ready.resolve(parsed);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    options.onLog?.(line);
    log.push(line);
    if (log.length > LOG_LINES_KEPT) log.shift();
  });
  return { child, ready: ready.promise, exited: exited.promise, log };
}

/** Undefined when the line is something else. */
function parseReadyLine(line: string): ReadyLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    // Only the discriminator is checked: the line comes from our own executable.
    return (value as Partial<ReadyLine> | null)?.event === 'ready'
      ? (value as ReadyLine)
      : undefined;
  } catch {
    return undefined;
  }
}

function agentError(
  message: string,
  log: readonly string[],
  detail: Record<string, unknown>,
): SternaError {
  return new SternaError('E_WORKER_DIED', message, { detail: { ...detail, log: log.slice(-5) } });
}
