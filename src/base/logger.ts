import { pino } from 'pino';

/** One event per line: `event` is a stable name, the rest its fields. */
export interface Logger {
  debug(fields: LogFields): void;
  info(fields: LogFields): void;
  warn(fields: LogFields): void;
  error(fields: LogFields): void;
  child(fields: Record<string, unknown>): Logger;
}

export interface LogFields {
  readonly event: string;
  readonly [field: string]: unknown;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * JSON lines on standard error (descriptor 2, written synchronously so that a crash loses nothing).
 */
export function createLogger(level: LogLevel, fields: Record<string, unknown> = {}): Logger {
  return pino(
    { level, base: { pid: process.pid, ...fields }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** For tests and the simulator. */
export function silentLogger(): Logger {
  const logger: Logger = {
    debug() {},
    info() {},
    warn() {},
    error() {},
    child: () => logger,
  };
  return logger;
}
