import type { Clock } from '../../base/index.ts';
import type { TextOutput } from '../context.ts';
import { Estimator } from '../migration/estimate.ts';
import type { FollowedMigration } from '../migration/follow-migration.ts';
import type { PostcopyView } from '../migration/postcopy-view.ts';
import { OncePerSecond } from './once-per-second.ts';
import type { ProgressView } from './progress-view.ts';

/**
 * One JSON object per line: at each change of status or pass, and once per second. Names and units
 * as in QMP.
 */
export class JsonProgress implements ProgressView {
  private readonly output: TextOutput;
  private readonly due: OncePerSecond;
  private readonly estimator = new Estimator();

  constructor(output: TextOutput, clock: Clock) {
    this.output = output;
    this.due = new OncePerSecond(clock);
  }

  update({ view }: FollowedMigration): void {
    const estimate = this.estimator.update(view);
    if (!this.due.isDue(`${view.status} ${estimate.pass} ${view.verify.status}`)) return;
    const line = {
      event: 'progress',
      status: view.status,
      pass: estimate.pass,
      'pass-done': Number(estimate.passDone.toFixed(4)),
      'total-time': view.totalTimeMs,
      transferred: view.ram.transferredBytes,
      remaining: view.ram.remainingBytes,
      total: view.ram.totalBytes,
      'dirty-pages-rate': view.ram.dirtyPagesPerSecond,
      'bytes-per-second': Math.round(estimate.throughputBytesPerSecond),
      'expected-downtime': view.expectedDowntimeMs ?? null,
      'eta-ms': estimate.etaMs === undefined ? null : Math.round(estimate.etaMs),
      verdict: view.convergence.diagnosis?.verdict ?? null,
      verify: view.verify.status,
      ...(view.postcopy === undefined ? {} : { postcopy: postcopyFields(view.postcopy) }),
    };
    this.output.write(`${JSON.stringify(line)}\n`);
  }

  close(): void {}
}

function postcopyFields(postcopy: PostcopyView): Readonly<Record<string, number>> {
  return {
    missing: postcopy.missingPages,
    remaining: postcopy.remainingPages,
    requests: postcopy.requests,
    'waited-share': postcopy.waitedShare,
    recoveries: postcopy.recoveries,
    'paused-ms': postcopy.pausedMs,
  };
}
