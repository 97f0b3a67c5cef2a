import { formatBytes } from '../../base/index.ts';
import type { GuestFigures, PlanRow, Recommendation } from './make-plan.ts';
import type { PlanLink, PlanParameters } from './plan-setup.ts';

export interface RecommendationInput {
  readonly rows: readonly PlanRow[];
  readonly guest: GuestFigures;
  readonly link: PlanLink;
  readonly parameters: PlanParameters;
}

/** Below this share of the link the dirty rate hardly lengthens a migration. */
const WELL_BELOW = 0.5;
/** A delta pays when no more of a page changes. */
const SPARSE_SHARE = 0.5;
/** Beyond this a fault costs so much that post-copy alone is no choice. */
const WAN_ROUND_TRIP_MS = 10;
/** A row must be better by so much to be worth another mechanism. */
const WORTH_IT = 0.95;

/** The questions of the flowchart of live migration (docs/plan.md), in its order. */
export function recommend({ rows, guest, link, parameters }: RecommendationInput): Recommendation {
  const { downtimeLimitMs, maxBandwidthBytesPerSecond } = parameters;
  const wire = link.bytesPerMs * 1000;
  const limited =
    maxBandwidthBytesPerSecond > 0 ? Math.min(wire, maxBandwidthBytesPerSecond) : wire;
  const ratio = guest.dirtyBytesPerSecond / limited;
  const rates = `it dirties ${formatBytes(guest.dirtyBytesPerSecond)}/s and ${formatBytes(limited)}/s can leave`;
  const because: string[] = [];
  const plain = rowOf(rows, 'precopy', 'raw');
  const delta = rowOf(rows, 'precopy', 'xbzrle');
  if (plain?.fits && (ratio <= WELL_BELOW || !isBetter(delta, plain))) {
    because.push(
      ratio <= WELL_BELOW
        ? `The guest dirties well below what the link carries (${rates}): plain pre-copy converges.`
        : `Plain pre-copy keeps the downtime limit of ${downtimeLimitMs} ms, though ${rates}.`,
    );
    if (guest.zeroShare > 0.1) {
      because.push(`${Math.round(guest.zeroShare * 100)} % of its pages hold only zeros.`);
    }
    return { mode: 'precopy', codec: 'raw', because };
  }
  because.push(
    ratio <= WELL_BELOW
      ? `Plain pre-copy does not keep the downtime limit of ${downtimeLimitMs} ms (${rates}).`
      : `The guest dirties near or above what the link carries: ${rates}.`,
  );
  const sparse = (guest.changedShare ?? 1) <= SPARSE_SHARE;
  if (sparse && delta?.fits) {
    const percent = ((guest.changedShare ?? 1) * 100).toFixed(1);
    because.push(`A change touches ${percent} % of a page, so that deltas outrun the guest.`);
    if (guest.hotBytes > parameters.xbzrleCacheBytes) {
      because.push(
        `Its hot pages (${formatBytes(guest.hotBytes)}) do not fit into the cache: raise xbzrle-cache-size.`,
      );
    }
    return { mode: 'precopy', codec: 'xbzrle', because };
  }
  because.push(
    sparse
      ? 'Changes are sparse, but even as deltas they outrun the link.'
      : 'Its changes fill the pages, so that deltas do not help.',
  );
  if (link.roundTripMs >= WAN_ROUND_TRIP_MS) {
    because.push(
      'The destination is far away, where each missing page costs a round trip: pre-copy first, then the rest.',
    );
    return { mode: 'hybrid', codec: 'raw', because };
  }
  const [hybrid, postcopy] = [rowOf(rows, 'hybrid', 'raw'), rowOf(rows, 'postcopy', 'raw')];
  const hybridCost = hybrid?.totalMs.expected ?? Number.POSITIVE_INFINITY;
  if (hybrid?.fits && hybridCost * WORTH_IT <= 2 * (postcopy?.totalMs.expected ?? hybridCost)) {
    because.push(
      'One pass of pre-copy, then post-copy: the guest waits only for what it dirtied meanwhile.',
    );
    return { mode: 'hybrid', codec: 'raw', because };
  }
  because.push('Post-copy sends each page once, in a time that does not depend on the guest.');
  return { mode: 'postcopy', codec: 'raw', because };
}

function isBetter(row: PlanRow | undefined, than: PlanRow): boolean {
  if (row === undefined || !row.fits) return false;
  return (
    row.totalMs.expected < WORTH_IT * than.totalMs.expected ||
    row.wireBytes.expected < WORTH_IT * than.wireBytes.expected
  );
}

function rowOf(
  rows: readonly PlanRow[],
  mode: PlanRow['mode'],
  codec: PlanRow['codec'],
): PlanRow | undefined {
  return rows.find((row) => row.mode === mode && row.codec === codec);
}
