import { formatBytes } from '../../base/index.ts';
import type { Estimate } from '../migration/estimate.ts';
import { isInPostcopy, type MigrationView } from '../migration/migration-view.ts';
import { formatCount, formatDuration, formatMs, formatRate } from '../report/format.ts';

/** The texts that the line view and the live view share. */

const POSTCOPY_PHASES: Readonly<Record<string, string>> = {
  'postcopy-active': 'post-copy',
  'postcopy-paused': 'post-copy, link lost',
  'postcopy-recover-setup': 'post-copy, connecting',
  'postcopy-recover': 'post-copy, recovering',
};

export function phaseText(view: MigrationView, estimate: Estimate): string {
  if (view.status === 'setup') return 'connecting';
  if (view.status === 'device') return 'switching over';
  if (view.status === 'cancelling') return 'cancelling';
  if (isInPostcopy(view)) return POSTCOPY_PHASES[view.status] ?? view.status;
  if (view.status !== 'active') return phaseAfterEnd(view);
  return view.mode === 'stop' ? 'copying, guest paused' : `pass ${estimate.pass}`;
}

function phaseAfterEnd(view: MigrationView): string {
  const comparing = view.verify.status === 'running' || view.verify.status === 'pending';
  return view.status === 'completed' && comparing ? 'comparing RAM' : view.status;
}

export function remainingText(view: MigrationView): string {
  return `${formatBytes(view.ram.remainingBytes)} remaining`;
}

/** What the guest costs: pages that it dirties, and in post-copy those that it waits for. */
export function guestText(view: MigrationView): string {
  const { postcopy } = view;
  if (isInPostcopy(view) && postcopy !== undefined) {
    const share = (postcopy.waitedShare * 100).toFixed(1);
    return `guest waited for ${formatCount(postcopy.requests)} pages (${share} %)`;
  }
  return `dirty ${formatCount(view.ram.dirtyPagesPerSecond)} pages/s`;
}

export function throughputText(estimate: Estimate): string {
  return formatRate(estimate.throughputBytesPerSecond);
}

export function downtimeText(view: MigrationView): string {
  const { downtimeMs, expectedDowntimeMs: expected } = view;
  if (downtimeMs !== undefined) return `downtime ${formatMs(downtimeMs)}`;
  return `expected downtime ${expected === undefined ? 'not known yet' : formatMs(expected)}`;
}

/** Never a promise: while the guest dirties faster than pages leave, there is none. */
export function etaText(view: MigrationView, estimate: Estimate): string {
  if (view.status !== 'active' && view.status !== 'postcopy-active') return 'ETA -';
  if (estimate.etaMs !== undefined) return `ETA ${formatDuration(estimate.etaMs)}`;
  if (view.status === 'postcopy-active') return 'ETA -';
  return view.ram.pagesPerSecond === 0 ? 'ETA -' : 'does not converge at this rate';
}
