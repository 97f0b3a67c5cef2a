import type { Clock } from '../../base/index.ts';
import type { TextOutput } from '../context.ts';
import { type Estimate, Estimator } from '../migration/estimate.ts';
import type { FollowedMigration } from '../migration/follow-migration.ts';
import { isInPostcopy, type MigrationView } from '../migration/migration-view.ts';
import { diagnosisText } from '../report/convergence-text.ts';
import { formatPercent } from '../report/format.ts';
import { OncePerSecond } from './once-per-second.ts';
import {
  downtimeText,
  etaText,
  guestText,
  phaseText,
  remainingText,
  throughputText,
} from './progress-text.ts';
import type { ProgressView } from './progress-view.ts';

/** One line per second, for a log or a pipe. */
export class LineProgress implements ProgressView {
  private readonly output: TextOutput;
  private readonly due: OncePerSecond;
  private readonly estimator = new Estimator();
  private verdict: string | undefined;

  constructor(output: TextOutput, clock: Clock) {
    this.output = output;
    this.due = new OncePerSecond(clock);
  }

  update({ view }: FollowedMigration): void {
    const estimate = this.estimator.update(view);
    this.tellVerdict(view);
    // A new pass alone is no reason for a line: late passes take milliseconds.
    if (!this.due.isDue(view.status)) return;
    this.output.write(
      `${view.status === 'active' || isInPostcopy(view) ? activeLine(view, estimate) : phaseText(view, estimate)}\n`,
    );
  }

  close(): void {}

  /** A line of its own, when it has changed. */
  private tellVerdict({ convergence: { diagnosis } }: MigrationView): void {
    if (diagnosis === undefined || diagnosis.verdict === this.verdict) return;
    this.verdict = diagnosis.verdict;
    this.output.write(`${diagnosisText(diagnosis)}\n`);
  }
}

function activeLine(view: MigrationView, estimate: Estimate): string {
  return [
    phaseText(view, estimate),
    formatPercent(estimate.passDone),
    remainingText(view),
    guestText(view),
    throughputText(estimate),
    downtimeText(view),
    etaText(view, estimate),
  ].join(', ');
}
