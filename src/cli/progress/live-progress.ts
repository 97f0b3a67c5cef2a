import { MultiBar, type Options, type Params, type SingleBar } from 'cli-progress';
import pc from 'picocolors';
import { formatBytes } from '../../base/index.ts';
import { type Estimate, Estimator } from '../migration/estimate.ts';
import type { FollowedMigration } from '../migration/follow-migration.ts';
import type { MigrationView } from '../migration/migration-view.ts';
import { diagnosisText } from '../report/convergence-text.ts';
import { formatPercent } from '../report/format.ts';
import {
  downtimeText,
  etaText,
  guestText,
  phaseText,
  remainingText,
  throughputText,
} from './progress-text.ts';
import type { ProgressView } from './progress-view.ts';

const BAR_WIDTH_MAX = 40;
const PHASE_WIDTH = 22;

/** What the lines are drawn from. */
interface Payload {
  readonly view: MigrationView | undefined;
  readonly estimate: Estimate | undefined;
}

/**
 * Lines that redraw in place ten times per second at most: the bar of this pass, what flows, what
 * to expect, why. They are wiped at the end, because the closing report says more.
 */
export class LiveProgress implements ProgressView {
  private readonly bars: MultiBar;
  private readonly lines: readonly SingleBar[];
  private readonly estimator = new Estimator();
  private readonly restore = () => this.close();
  private closed = false;

  constructor(terminal: NodeJS.WritableStream) {
    this.bars = new MultiBar({
      stream: terminal,
      fps: 10,
      hideCursor: true,
      clearOnComplete: true,
      // An interrupt is ours: it cancels the migration, and the view goes on until that has
      // happened.
      gracefulExit: false,
    });
    const empty: Payload = { view: undefined, estimate: undefined };
    this.lines = [barLine, flowLine, outlookLine, diagnosisLine].map((format) => {
      const draw = (_options: Options, params: Params, payload: Payload) => format(payload, params);
      return this.bars.create(1, 0, { ...empty }, { format: draw } as Options);
    });
    // Also after a crash, the terminal gets its cursor back.
    process.once('exit', this.restore);
  }

  update({ view }: FollowedMigration): void {
    const payload: Payload = { view, estimate: this.estimator.update(view) };
    for (const line of this.lines) line.update(payload.estimate?.passDone ?? 0, payload);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    process.removeListener('exit', this.restore);
    this.bars.stop();
  }
}

function barLine({ view, estimate }: Payload, params: Params): string {
  if (view === undefined || estimate === undefined) return pc.dim('connecting');
  const room = params.maxWidth - PHASE_WIDTH - 32;
  const width = Math.max(8, Math.min(BAR_WIDTH_MAX, room));
  const full = Math.round(estimate.passDone * width);
  const bar = `${pc.cyan('█'.repeat(full))}${pc.dim('░'.repeat(width - full))}`;
  const phase = phaseText(view, estimate).padEnd(PHASE_WIDTH);
  const percent = formatPercent(estimate.passDone).padStart(5);
  return `${pc.bold(phase)} ${bar} ${percent}  ${remainingText(view)}`;
}

function flowLine({ view, estimate }: Payload): string {
  if (view === undefined || estimate === undefined) return '';
  const sent = `${formatBytes(view.ram.transferredBytes)} sent`;
  return `  ${pc.green(throughputText(estimate))}  ${pc.yellow(guestText(view))}  ${sent}`;
}

function outlookLine({ view, estimate }: Payload): string {
  if (view === undefined || estimate === undefined) return '';
  return `  ${downtimeText(view)}  ${etaText(view, estimate)}`;
}

function diagnosisLine({ view }: Payload, { maxWidth }: Params): string {
  const diagnosis = view?.convergence.diagnosis;
  return diagnosis === undefined ? '' : pc.dim(`  ${diagnosisText(diagnosis)}`.slice(0, maxWidth));
}
