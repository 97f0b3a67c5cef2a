import { formatBytes } from '../../base/index.ts';
import type { CodecView, CompressionView } from '../migration/compression-view.ts';
import type { MigrationView } from '../migration/migration-view.ts';
import { formatCount, formatPercent } from './format.ts';

/** The texts about what is sent of a page. Empty: not known, or not used. */

/** What the delta cache did. A page that is found is a hit, whatever became of it. */
export function cacheText({ xbzrle, compression: { cache } }: MigrationView): string {
  if (xbzrle === undefined || cache === undefined) return '';
  const shape = cache.ways === 1 ? 'direct-mapped' : `${cache.ways}-way`;
  const counts = [
    `${formatCount(xbzrle.pages)} hits`,
    `${formatCount(xbzrle.missPages)} misses`,
    `${formatCount(cache.conflictPages)} conflicts`,
    `${formatCount(xbzrle.overflowPages)} overflows`,
    ...(cache.primedPages > 0 ? [`${formatCount(cache.primedPages)} pages primed`] : []),
  ];
  return `${shape}, ${counts.join(', ')}; ${savedText(cache.savedBytes)}`;
}

/** What share of the lookups caches of other sizes would have missed, the smallest first. */
export function ghostText({ ghosts }: CompressionView): string {
  const sorted = [...ghosts].sort((one, other) => one.cacheBytes - other.cacheBytes);
  const shares = sorted.map(({ cacheBytes, hitRate }, index) => {
    const missed = `${index === 0 ? ' would have missed' : ''} ${formatPercent(1 - hitRate)}`;
    return `of ${formatBytes(cacheBytes)}${missed}`;
  });
  return shares.length === 0 ? '' : `a cache ${shares.join(', ')}`;
}

/** What becomes LZ4 now, who decides that, and what it has saved so far. */
export function codecText({ codec }: CompressionView): string {
  if (codec === undefined || codec.choice === 'none') return '';
  if (!codec.isAgreed) return `${codec.choice}, but the destination reads no LZ4`;
  return `${codec.choice}: ${kindsText(codec)}; ${savedText(codec.savedBytes)}`;
}

function kindsText({ pages, deltas }: CodecView): string {
  if (!pages && !deltas) return 'nothing becomes LZ4';
  return `${[...(pages ? ['pages'] : []), ...(deltas ? ['deltas'] : [])].join(' and ')} become LZ4`;
}

/** A delta can be longer than what it replaces, with its entry. */
function savedText(bytes: number): string {
  return bytes < 0 ? `cost ${formatBytes(-bytes)}` : `saved ${formatBytes(bytes)}`;
}
