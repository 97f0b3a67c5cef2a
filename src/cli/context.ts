import pc from 'picocolors';
import { type Clock, systemClock } from '../base/index.ts';

/** A stream that text goes to; `process.stdout` is one, and so is a test's array. */
export interface TextOutput {
  write(text: string): unknown;
  /** Set on a terminal only. */
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Everything of the process that a command uses: tests pass their own. */
export interface CliContext {
  /** Results. */
  readonly stdout: TextOutput;
  /** Progress, logs, errors. */
  readonly stderr: TextOutput;
  /** Where a live view may be drawn; undefined when nobody looks. */
  readonly terminal: NodeJS.WritableStream | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Replaces the default action of SIGINT and SIGTERM until the returned function is called. */
  onInterrupt(callback: () => void): () => void;
  /** Calls back when standard input ends: whoever held its other end is gone. */
  onInputClosed(callback: () => void): void;
}

/** Node's real process. The one place that reads its globals. */
export function processContext(): CliContext {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    // A dumb terminal cannot move its cursor.
    terminal: process.stderr.isTTY && process.env.TERM !== 'dumb' ? process.stderr : undefined,
    environment: process.env,
    clock: systemClock(),
    onInterrupt(callback) {
      process.on('SIGINT', callback);
      process.on('SIGTERM', callback);
      return () => {
        process.removeListener('SIGINT', callback);
        process.removeListener('SIGTERM', callback);
      };
    },
    onInputClosed(callback) {
      process.stdin.once('close', callback);
      // A stream reports its end only while it is read. Nothing is expected to come.
      process.stdin.resume().unref();
    },
  };
}

export type Colours = ReturnType<typeof pc.createColors>;

/** Colours for results: on a terminal, unless NO_COLOR is set (no-color.org). */
export function coloursFor(context: CliContext): Colours {
  const wanted = context.stdout.isTTY === true && !context.environment.NO_COLOR;
  return pc.createColors(wanted);
}
