import { formatBytes } from '../../base/index.ts';
import type { AdviceView, ConvergenceView, DiagnosisView } from '../migration/convergence-view.ts';
import { formatDuration, formatMs, formatRate } from './format.ts';

/** What to type for each advice. */
const ADVICE: Readonly<Record<string, string>> = {
  wait: 'wait',
  'max-bandwidth': 'a higher max-bandwidth',
  xbzrle: '--comp-methods xbzrle from the beginning',
  'x-codec': '--codec auto from the beginning',
  'auto-converge': '--auto-converge',
  'postcopy-ram': 'post-copy',
  'downtime-limit': 'a pause now',
};

/** Why it converges or does not, in one sentence. */
export function diagnosisText(diagnosis: DiagnosisView): string {
  return `${causeText(diagnosis)}${adviceText(diagnosis)}`;
}

function causeText(diagnosis: DiagnosisView): string {
  const { dirtyBytesPerSecond, workingSetBytes, requiredDowntimeMs, etaMs } = diagnosis;
  const effective = diagnosis.effectiveBytesPerSecond;
  const dirty = `the guest dirties ${formatRate(dirtyBytesPerSecond)}`;
  const leaves = effective === undefined ? '' : `, ${formatRate(effective)} can leave`;
  const pause =
    requiredDowntimeMs === undefined
      ? ''
      : `, a pause now would take ${formatMs(requiredDowntimeMs)}`;
  switch (diagnosis.verdict) {
    case 'converging': {
      const when = etaMs === undefined || etaMs === 0 ? '' : ` in about ${formatDuration(etaMs)}`;
      return `converges${when}: ${dirty}${leaves}`;
    }
    case 'bandwidth-limited':
      return `does not converge under its max-bandwidth: ${dirty}${leaves}${pause}`;
    case 'cpu-limited':
      return `does not converge, for the encoder is slower than the link: ${dirty}${leaves}${pause}`;
    case 'diverging':
      return `does not converge, each pass leaves more than the last: ${dirty}${leaves}${pause}`;
    default:
      return `does not converge, the guest writes ${formatBytes(workingSetBytes)} again and again: ${dirty}${leaves}${pause}`;
  }
}

function adviceText({ verdict, advice }: DiagnosisView): string {
  if (verdict === 'converging' || advice.length === 0) return '';
  const option = ({ action, downtimeMs, totalMs }: AdviceView) =>
    `${ADVICE[action] ?? action} (downtime ${formatMs(downtimeMs)}, ${formatDuration(totalMs)} in all)`;
  return `; what would help: ${advice.map(option).join(', or ')}`;
}

/** Who decides, where that is worth a line; else nothing. */
export function policyText({ policy, fallbackReason, enabled }: ConvergenceView): string {
  if (policy === undefined) return '';
  if (fallbackReason !== undefined)
    return `${policy}, instead of the one asked for: ${fallbackReason}`;
  const also = enabled.length === 0 ? '' : `, with ${enabled.join(', ')}`;
  return policy === 'auto' ? '' : `${policy}${also}`;
}

/** What the migration has cost the guest's speed; else nothing. */
/** One that waits anyway is slowed by less. */
export function throttledText({ throttledPercent }: ConvergenceView): string {
  return throttledPercent > 0 ? `${throttledPercent.toFixed(1)} % on average` : '';
}
