import type { PostcopyView } from '../migration/postcopy-view.ts';
import { formatCount, formatMs } from './format.ts';
import { sharesPerColumn, sparkline } from './sparkline.ts';

/** The texts about post-copy that the closing report and `sterna info` share. Empty: not known. */

/** How much followed the guest, and what of it the guest waited for. */
export function followedText({ missingPages, requests, waitedShare }: PostcopyView): string {
  const share = `${(waitedShare * 100).toFixed(1)} %`;
  const waited = requests === 0 ? 'none waited for' : `${formatCount(requests)} waited for`;
  return `${formatCount(missingPages)} pages after the guest, ${waited} (${share})`;
}

/** Lost links. */
export function linkText({ recoveries, pausedMs, pausedError }: PostcopyView): string {
  if (recoveries === 0 && pausedMs === 0) return '';
  const times = `made anew ${recoveries} ${recoveries === 1 ? 'time' : 'times'}`;
  const now = pausedError === undefined ? '' : `; lost now: ${pausedError.message}`;
  return `${times}, ${formatMs(pausedMs)} without it${now}`;
}

/** What its vCPUs waited. */
export function blockedText({ allBlockedMs, vcpuBlockedMs, latencyMs }: PostcopyView): string {
  if (allBlockedMs === undefined) return '';
  const each = vcpuBlockedMs.map(formatMs).join(', ');
  const mean = latencyMs === undefined || latencyMs === 0 ? '' : `, ${formatMs(latencyMs)} a page`;
  return `vCPUs blocked ${each}${mean}; all at once ${formatMs(allBlockedMs)}`;
}

/** The buckets that are not empty. */
export function latencyText({ latencyBuckets }: PostcopyView): string {
  return latencyBuckets
    .map((count, bucket) => ({ count, from: microseconds(2 ** bucket) }))
    .filter(({ count }) => count > 0)
    .map(({ count, from }) => `${from} ${formatCount(count)}`)
    .join(', ');
}

/** How slow the guest was since it runs at the destination, and when that was over. */
export function brownoutText({ brownout, brownoutSpanMs }: PostcopyView): string {
  if (brownout.length === 0) return '';
  const columnMs = sharesPerColumn(brownout.length) * brownoutSpanMs;
  const worst = Math.round(Math.max(...brownout) * 100);
  return `${sparkline(brownout)} blocked time, ${columnMs} ms each, at most ${worst} %`;
}

function microseconds(us: number): string {
  return us < 1024 ? `${us} us` : us < 2 ** 20 ? `${us >> 10} ms` : `${us >> 20} s`;
}
