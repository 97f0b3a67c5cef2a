import { formatBytes } from '../../base/index.ts';
import type { GuestFigures, PlanRow, Recommendation } from './make-plan.ts';
import { type Codec, type PlanLink, type PlanParameters, usesDeltas } from './plan-setup.ts';

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
/** LZ4 takes processors of the host, which the guest shares. */
const LZ4_WORTH_IT = 0.9;

/**
 * The questions of the flowchart of live migration (docs/plan.md), in its order. Whatever slows the
 * guest is never recommended: that is its owner's to say.
 */
export function recommend(input: RecommendationInput): Recommendation {
  const because: string[] = [];
  const { mode, codec } = choose(input, because);
  const row = rowOf(input.rows, mode, codec);
  const better = withLz4(input.rows, mode, codec);
  if (better !== undefined && row !== undefined) {
    because.push(
      `LZ4 makes its pages ${Math.round((1 - input.guest.lz4Share) * 100)} % smaller, faster than the link carries them.`,
    );
  }
  const chosen = better ?? row;
  const cacheBytes = chosen?.xbzrleCacheBytes ?? 0;
  const isRaised = usesDeltas(codec) && cacheBytes > input.parameters.xbzrleCacheBytes;
  return {
    mode,
    codec: chosen?.codec ?? codec,
    xbzrleCacheBytes: isRaised ? cacheBytes : undefined,
    because,
  };
}

interface Choice {
  readonly mode: PlanRow['mode'];
  readonly codec: Codec;
}

function choose({ rows, guest, link, parameters }: RecommendationInput, because: string[]): Choice {
  const { downtimeLimitMs, maxBandwidthBytesPerSecond } = parameters;
  const wire = link.bytesPerMs * 1000;
  const limited =
    maxBandwidthBytesPerSecond > 0 ? Math.min(wire, maxBandwidthBytesPerSecond) : wire;
  const ratio = guest.dirtyBytesPerSecond / limited;
  const rates = `it dirties ${formatBytes(guest.dirtyBytesPerSecond)}/s and ${formatBytes(limited)}/s can leave`;
  const plain = rowOf(rows, 'precopy', 'raw');
  const packed = rowOf(rows, 'precopy', 'lz4');
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
    return { mode: 'precopy', codec: 'raw' };
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
      const cache = formatBytes(delta.xbzrleCacheBytes ?? parameters.xbzrleCacheBytes);
      because.push(
        `Its hot pages are ${formatBytes(guest.hotBytes)}; the cache is to be ${cache}.`,
      );
    }
    return { mode: 'precopy', codec: 'xbzrle' };
  }
  if (packed?.fits) {
    because.push('As LZ4 its pages leave faster than it dirties them.');
    return { mode: 'precopy', codec: 'lz4' };
  }
  because.push(
    sparse
      ? 'Changes are sparse, but even as deltas they outrun the link.'
      : 'Its changes fill the pages, so that deltas do not help.',
  );
  return handOver(rows, link, because);
}

/** Pre-copy alone does not do. */
function handOver(rows: readonly PlanRow[], link: PlanLink, because: string[]): Choice {
  const plain = rowOf(rows, 'hybrid', 'raw');
  const delta = rowOf(rows, 'hybrid', 'xbzrle');
  const isDelta = plain === undefined || isBetter(delta, plain);
  const hybrid = isDelta ? delta : plain;
  const choice: Choice = { mode: 'hybrid', codec: isDelta ? 'xbzrle' : 'raw' };
  if (link.roundTripMs >= WAN_ROUND_TRIP_MS) {
    because.push(
      'The destination is far away, where each missing page costs a round trip: pre-copy first, then the rest.',
    );
    return choice;
  }
  const postcopy = rowOf(rows, 'postcopy', 'raw');
  const hybridCost = hybrid?.totalMs.expected ?? Number.POSITIVE_INFINITY;
  if (hybrid?.fits && hybridCost * WORTH_IT <= 2 * (postcopy?.totalMs.expected ?? hybridCost)) {
    because.push(
      'One pass of pre-copy, then post-copy: the guest waits only for what it dirtied meanwhile.',
    );
    return choice;
  }
  because.push('Post-copy sends each page once, in a time that does not depend on the guest.');
  return { mode: 'postcopy', codec: 'raw' };
}

/** The same mode with LZ4, where that is worth its processors. */
function withLz4(
  rows: readonly PlanRow[],
  mode: PlanRow['mode'],
  codec: Codec,
): PlanRow | undefined {
  const row = rowOf(rows, mode, codec);
  const packed = rowOf(rows, mode, codec === 'xbzrle' ? 'xbzrle+lz4' : 'lz4');
  if (row === undefined || packed === undefined || packed === row || !packed.fits) return undefined;
  return packed.totalMs.expected < LZ4_WORTH_IT * row.totalMs.expected ? packed : undefined;
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
  return rows.find((row) => row.mode === mode && row.codec === codec && row.slowing === 'none');
}
