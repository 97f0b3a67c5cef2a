import {
  isPostcopy,
  type MigrationInfo,
  type PassRecord,
  type SpillInfo,
  type VerifyReport,
} from '../../base/index.ts';
import type { Address } from '../../channel/index.ts';
import { diagnosisReply, policyReply, throttleReply } from './convergence-reply.ts';
import { blocktimeFields, milliseconds, sternaPostcopyReply } from './postcopy-reply.ts';
import { describe } from './qmp-reply.ts';

/** A value of JSON; what is undefined is left out. */
type Json = Readonly<Record<string, unknown>>;

/**
 * QEMU's reply to `query-migrate`, units and presence of its fields included (MigrationInfo in
 * qapi/migration.json), and ours under `x-sterna`. Two differences are meant: the counters outlive
 * failure and cancellation, and a destination has them too. And `expected-downtime` is absent until
 * something was measured, instead of being the limit.
 */
export function migrationReply(info: MigrationInfo | undefined, listen: Address | undefined): Json {
  const socketAddress = listen === undefined ? undefined : [socketAddressReply(listen)];
  if (info === undefined || info.status === 'none')
    return compact({ 'socket-address': socketAddress });
  return compact({
    status: info.status,
    ...(hasCounters(info) ? counterFields(info) : {}),
    ...blocktimeFields(info),
    'error-desc': info.error === undefined ? undefined : describe(info.error),
    'blocked-reasons': info.blockedReasons.length > 0 ? info.blockedReasons : undefined,
    'socket-address': socketAddress,
    'x-sterna': sternaReply(info),
  });
}

/** QAPI's SocketAddress, where a port is a string. */
function socketAddressReply(address: Address): Json {
  if (address.kind === 'tcp') {
    return { type: 'inet', host: address.host, port: String(address.port) };
  }
  return address.kind === 'unix'
    ? { type: 'unix', path: address.path }
    : { type: 'file', filename: address.path };
}

function hasCounters(info: MigrationInfo): boolean {
  return info.status !== 'setup';
}

function counterFields(info: MigrationInfo): Json {
  const isSwitched = info.status === 'completed' || isPostcopy(info.status);
  const expected = isSwitched ? undefined : info.expectedDowntimeMs;
  return {
    ram: ramReply(info),
    'xbzrle-cache': xbzrleReply(info),
    compression: compressionReply(info),
    'total-time': Math.round(info.totalTimeMs),
    'setup-time': Math.round(info.setupTimeMs),
    'cpu-throttle-percentage': info.throttle?.percent || undefined,
    'expected-downtime': expected === undefined ? undefined : Math.round(expected),
    downtime: isSwitched && info.downtimeMs !== undefined ? Math.round(info.downtimeMs) : undefined,
  };
}

function ramReply(info: MigrationInfo): Json {
  const { ram } = info;
  return {
    transferred: ram.transferredBytes,
    remaining: info.status === 'completed' ? 0 : ram.remainingBytes,
    total: ram.totalBytes,
    duplicate: ram.zeroPages,
    normal: ram.normalPages,
    'normal-bytes': ram.normalPages * ram.pageBytes,
    'dirty-pages-rate': Math.round(ram.dirtyPagesPerSecond),
    mbps: ram.bitsPerSecond / 1e6,
    'dirty-sync-count': ram.dirtySyncCount,
    'postcopy-requests': info.postcopy?.requests ?? 0,
    'page-size': ram.pageBytes,
    'multifd-bytes': ram.multifdBytes,
    'pages-per-second': Math.round(ram.pagesPerSecond),
    'precopy-bytes': ram.precopyBytes,
    'downtime-bytes': ram.downtimeBytes,
    'postcopy-bytes': ram.postcopyBytes,
    'dirty-sync-missed-zero-copy': 0,
  };
}

function xbzrleReply(info: MigrationInfo): Json | undefined {
  const { xbzrle } = info;
  if (xbzrle === undefined) return undefined;
  return {
    'cache-size': xbzrle.cacheBytes,
    bytes: xbzrle.encodedBytes,
    pages: xbzrle.hitPages,
    'cache-miss': xbzrle.missPages,
    'cache-miss-rate': xbzrle.missRate,
    'encoding-rate': xbzrle.encodingRate,
    overflow: xbzrle.overflowPages,
    'x-conflict': xbzrle.conflictPages,
  };
}

function compressionReply({ compression }: MigrationInfo): Json | undefined {
  if (compression === undefined) return undefined;
  return {
    pages: compression.pages,
    busy: compression.busyPages,
    'busy-rate': compression.busyRate,
    'compressed-size': compression.compressedBytes,
    'compression-rate': compression.compressionRate,
  };
}

function sternaReply(info: MigrationInfo): Json {
  return compact({
    'migration-id': info.migrationId,
    side: info.side,
    epoch: info.epoch,
    owner: info.owner,
    mode: info.mode,
    transferred: info.ram.transferredBytes,
    'active-time-ms': milliseconds(info.activeTimeMs),
    'downtime-ms': info.downtimeMs === undefined ? undefined : milliseconds(info.downtimeMs),
    'guest-downtime-us': info.guestDowntimeUs,
    'guest-downtime-error-us': info.guestDowntimeErrorUs,
    'downtime-parts': mapValues(info.downtimeParts, milliseconds),
    policy: policyReply(info.policy),
    throttle: throttleReply(info.throttle),
    diagnosis: diagnosisReply(info.diagnosis),
    verify: verifyReply(info),
    'page-kinds': info.pageKinds,
    xbzrle: sternaXbzrleReply(info),
    'xbzrle-ghost': ghostReply(info),
    codec: codecReply(info),
    passes: info.passes.map(passReply),
    postcopy: sternaPostcopyReply(info),
    spill: spillReply(info.postcopy?.spill),
    journal: journalReply(info),
    error: info.error,
  });
}

function sternaXbzrleReply({ xbzrle }: MigrationInfo): Json | undefined {
  if (xbzrle === undefined) return undefined;
  return {
    ways: xbzrle.ways,
    conflict: xbzrle.conflictPages,
    primed: xbzrle.primedPages,
    'saved-bytes': xbzrle.savedBytes,
  };
}

/** None before anything was looked up. */
function ghostReply({ xbzrle }: MigrationInfo): readonly Json[] | undefined {
  return xbzrle?.ghosts.map(({ cacheBytes, hitRate }) => ({
    'cache-size': cacheBytes,
    'hit-rate': hitRate,
  }));
}

function codecReply({ codec, compression }: MigrationInfo): Json | undefined {
  if (codec === undefined) return undefined;
  const { choice, isAgreed, pages, deltas } = codec;
  return { choice, agreed: isAgreed, pages, deltas, 'saved-bytes': compression?.savedBytes ?? 0 };
}

function journalReply({ postcopy }: MigrationInfo): Json | undefined {
  const journal = postcopy?.journal;
  if (journal === undefined) return undefined;
  return compact({
    points: journal.points,
    pages: journal.pages,
    bytes: journal.bytes,
    'pause-ms': milliseconds(journal.pauseMs),
    'longest-pause-ms': milliseconds(journal.longestPauseMs),
    'recent-pauses-ms': journal.recentPausesMs.map(milliseconds),
    'last-point-age-ms':
      journal.lastPointMs === undefined ? undefined : milliseconds(journal.lastPointMs),
    'lag-pages': journal.lagPages,
    overfull: journal.isOverfull,
    error: journal.error,
  });
}

/**
 * Who polls waits until it is neither absent nor `running`: what has not begun yet counts as
 * running.
 */
function verifyReply(info: MigrationInfo): Json {
  const { status, pages, mismatches, reason } = info.verify;
  return compact({
    status: status === 'pending' ? pendingStatus(info) : status,
    pages,
    mismatches: mismatches.length > 0 ? mismatches : undefined,
    reason,
  });
}

function pendingStatus(info: MigrationInfo): VerifyReport['status'] {
  return info.status === 'failed' || info.status === 'cancelled' ? 'skipped' : 'running';
}

function spillReply(spill: SpillInfo | undefined): Json | undefined {
  if (spill === undefined) return undefined;
  const { path, status, writtenBytes, durableAfterMs, error } = spill;
  return compact({
    path,
    status,
    'written-bytes': writtenBytes,
    'durable-after-ms': durableAfterMs === undefined ? undefined : milliseconds(durableAfterMs),
    error,
  });
}

function passReply(pass: PassRecord): Json {
  return {
    pass: pass.pass,
    stopped: pass.stopped,
    'start-ms': milliseconds(pass.startMs),
    'duration-ms': milliseconds(pass.durationMs),
    'dirty-pages': pass.dirtyPages,
    'sent-pages': pass.sentPages,
    'sent-bytes': pass.sentBytes,
    'zero-pages': pass.zeroPages,
    'raw-pages': pass.rawPages,
    'xbzrle-pages': pass.xbzrlePages,
    'lz4-pages': pass.lz4Pages,
    'lz4-xbzrle-pages': pass.lz4XbzrlePages,
    'unchanged-pages': pass.unchangedPages,
    'dirtied-pages': pass.dirtiedPages,
    'written-pages': pass.writtenPages,
    syncs: pass.syncs,
    'effective-bytes-per-second': Math.round(pass.effectiveBytesPerSecond),
    'expected-downtime-ms': milliseconds(pass.expectedDowntimeMs),
  };
}

function mapValues<In, Out>(
  record: Readonly<Record<string, In>>,
  change: (value: In) => Out,
): Readonly<Record<string, Out>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

function compact(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
