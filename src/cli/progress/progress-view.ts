import type { CliContext } from '../context.ts';
import type { FollowedMigration } from '../migration/follow-migration.ts';
import { JsonProgress } from './json-progress.ts';
import { LineProgress } from './line-progress.ts';
import { LiveProgress } from './live-progress.ts';

/**
 * Shows a running migration. `close` is always called, also after an error, and leaves the terminal
 * as it was.
 */
export interface ProgressView {
  update(update: FollowedMigration): void;
  close(): void;
}

export interface ProgressOptions {
  readonly json: boolean;
  readonly verbose: boolean;
}

/**
 * JSON lines for machines, a live view on a terminal, else one line per second; nothing unless it
 * was asked for.
 */
export function createProgress(context: CliContext, options: ProgressOptions): ProgressView {
  if (options.json) return new JsonProgress(context.stdout, context.clock);
  if (!options.verbose) return { update() {}, close() {} };
  if (context.terminal !== undefined) return new LiveProgress(context.terminal);
  return new LineProgress(context.stderr, context.clock);
}
