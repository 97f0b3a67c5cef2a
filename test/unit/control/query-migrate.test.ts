import { describe, expect, it } from 'vitest';
import {
  errorReport,
  type MigrationInfo,
  type PostcopyInfo,
  SternaError,
} from '../../../src/base/index.ts';
import { initialInfo } from '../../../src/control/migration/initial-info.ts';
import { migrationReply } from '../../../src/control/qmp/query-migrate.ts';

/**
 * The reply's fields, their names, units and presence, against QEMU's schema (reference:
 * qapi/migration.json).
 */

const base: MigrationInfo = {
  ...initialInfo({
    side: 'source',
    status: 'active',
    migrationId: 'm1',
    mode: 'precopy',
    epoch: 3,
    totalBytes: 2 ** 24,
  }),
  totalTimeMs: 1234.5,
  setupTimeMs: 10.2,
  activeTimeMs: 1200.25,
  downtimeParts: { pause: 0.12345, pages: 2 },
  ram: {
    transferredBytes: 1000,
    remainingBytes: 8192,
    totalBytes: 2 ** 24,
    pageBytes: 4096,
    normalPages: 7,
    zeroPages: 5,
    dirtyPagesPerSecond: 99.6,
    dirtySyncCount: 2,
    bitsPerSecond: 1_500_000,
    pagesPerSecond: 12.4,
    precopyBytes: 900,
    multifdBytes: 4096,
    postcopyBytes: 0,
    downtimeBytes: 100,
  },
  passes: [
    {
      pass: 1,
      stopped: false,
      startMs: 1,
      durationMs: 2.00049,
      dirtyPages: 3,
      sentPages: 4,
      sentBytes: 5,
      zeroPages: 6,
      rawPages: 7,
      xbzrlePages: 8,
      lz4Pages: 12,
      lz4XbzrlePages: 13,
      unchangedPages: 9,
      dirtiedPages: 10,
      writtenPages: 14,
      syncs: 2,
      effectiveBytesPerSecond: 11.4,
      expectedDowntimeMs: Number.POSITIVE_INFINITY,
    },
  ],
};

const error = errorReport(
  new SternaError('E_CHANNEL_RESET', 'Lost the connection with tcp:h:1', {
    detail: { cause: 'read ECONNRESET' },
    guestOwner: 'source',
    phase: 'active',
  }),
);

function reply(changes: Partial<MigrationInfo>): Record<string, unknown> {
  return migrationReply({ ...base, ...changes }, undefined) as Record<string, unknown>;
}

describe('migrationReply()', () => {
  it('is empty when there never was a migration', () => {
    expect(migrationReply(undefined, undefined)).toEqual({});
  });

  it('has the real address when a destination listens', () => {
    const info = { ...base, side: 'destination', status: 'setup' } as const;
    expect(migrationReply(info, { kind: 'tcp', host: '127.0.0.1', port: 4444 })).toMatchObject({
      status: 'setup',
      'socket-address': [{ type: 'inet', host: '127.0.0.1', port: '4444' }],
    });
  });

  it('has all counters of MigrationStats, in its units, when active', () => {
    expect(reply({}).ram).toEqual({
      transferred: 1000,
      remaining: 8192,
      total: 2 ** 24,
      duplicate: 5,
      normal: 7,
      'normal-bytes': 7 * 4096,
      'dirty-pages-rate': 100,
      mbps: 1.5,
      'dirty-sync-count': 2,
      'postcopy-requests': 0,
      'page-size': 4096,
      'multifd-bytes': 4096,
      'pages-per-second': 12,
      'precopy-bytes': 900,
      'downtime-bytes': 100,
      'postcopy-bytes': 0,
      'dirty-sync-missed-zero-copy': 0,
    });
  });

  it.each([
    ['setup', []],
    ['active', ['ram', 'total-time', 'setup-time', 'expected-downtime']],
    ['device', ['ram', 'total-time', 'setup-time', 'expected-downtime']],
    ['completed', ['ram', 'total-time', 'setup-time', 'downtime']],
    ['postcopy-active', ['ram', 'total-time', 'setup-time', 'downtime']],
    ['postcopy-paused', ['ram', 'total-time', 'setup-time', 'downtime']],
    ['postcopy-recover-setup', ['ram', 'total-time', 'setup-time', 'downtime']],
    ['postcopy-recover', ['ram', 'total-time', 'setup-time', 'downtime']],
    ['failed', ['ram', 'total-time', 'setup-time', 'expected-downtime', 'error-desc']],
    ['cancelling', ['ram', 'total-time', 'setup-time', 'expected-downtime']],
    ['cancelled', ['ram', 'total-time', 'setup-time', 'expected-downtime', 'error-desc']],
  ] as const)('has exactly the fields of the state when %s', (status, fields) => {
    const failed = status === 'failed' || status === 'cancelled';
    const fieldsOf = reply({
      status,
      expectedDowntimeMs: 20.4,
      downtimeMs: 33.6,
      error: failed ? error : undefined,
    });
    expect(Object.keys(fieldsOf).sort()).toEqual(['status', ...fields, 'x-sterna'].sort());
  });

  it('has whole milliseconds', () => {
    const completed = reply({ status: 'completed', downtimeMs: 33.6 });
    expect(completed).toMatchObject({ 'total-time': 1235, 'setup-time': 10, downtime: 34 });
    expect(reply({ expectedDowntimeMs: 20.4 })['expected-downtime']).toBe(20);
  });

  it('has no expected-downtime when nothing was measured', () => {
    expect(reply({})).not.toHaveProperty('expected-downtime');
  });

  it('has nothing remaining when completed', () => {
    expect(reply({ status: 'completed' }).ram).toMatchObject({ remaining: 0 });
  });

  it('has the reason, and the error as data, when failed', () => {
    const failed = reply({ status: 'failed', error, owner: 'source' });
    expect(failed['error-desc']).toBe('Lost the connection with tcp:h:1: read ECONNRESET');
    expect(failed['x-sterna']).toMatchObject({
      owner: 'source',
      error: { code: 'E_CHANNEL_RESET', phase: 'active', guestOwner: 'source' },
    });
  });

  it('has blocked-reasons only when there are some', () => {
    expect(reply({})).not.toHaveProperty('blocked-reasons');
    expect(reply({ blockedReasons: ['because'] })['blocked-reasons']).toEqual(['because']);
  });

  it('has xbzrle-cache when the cache is on', () => {
    expect(reply({})).not.toHaveProperty('xbzrle-cache');
    const xbzrle = {
      cacheBytes: 1,
      encodedBytes: 2,
      hitPages: 3,
      missPages: 4,
      conflictPages: 5,
      overflowPages: 6,
      ways: 1,
      primedPages: 7,
      savedBytes: 8,
      ghosts: [{ cacheBytes: 4096, hitRate: 0.125 }],
      missRate: 0.25,
      encodingRate: 80.1,
    };
    expect(reply({ xbzrle })['xbzrle-cache']).toEqual({
      'cache-size': 1,
      bytes: 2,
      pages: 3,
      'cache-miss': 4,
      'cache-miss-rate': 0.25,
      'encoding-rate': 80.1,
      overflow: 6,
      'x-conflict': 5,
    });
    expect(reply({ xbzrle })['x-sterna']).toMatchObject({
      xbzrle: { ways: 1, conflict: 5, primed: 7, 'saved-bytes': 8 },
      'xbzrle-ghost': [{ 'cache-size': 4096, 'hit-rate': 0.125 }],
    });
  });

  it('tells what the codec takes now, and what it has saved', () => {
    const codec = { choice: 'auto', isAgreed: true, pages: true, deltas: false } as const;
    const compression = {
      ...{ pages: 1, busyPages: 0, busyRate: 0, compressedBytes: 100, compressionRate: 40.96 },
      savedBytes: 3996,
    };
    const told = { choice: 'auto', agreed: true, pages: true, deltas: false };
    expect(reply({ codec })['x-sterna']).toMatchObject({ codec: { ...told, 'saved-bytes': 0 } });
    expect(reply({ codec, compression })['x-sterna']).toMatchObject({
      codec: { ...told, 'saved-bytes': 3996 },
    });
  });

  const postcopy: PostcopyInfo = {
    durationMs: 900,
    missingPages: 4000,
    remainingPages: 1000,
    requests: 200,
    lateRequests: 3,
    duplicatePages: 1,
    waitedShare: 0.05,
    recoveries: 2,
    pausedMs: 12.3456,
    pausedError: undefined,
    journal: undefined,
    waitsForResume: false,
    blocktime: {
      allBlockedMs: 5.4,
      vcpuBlockedMs: [30.4, 20.6],
      latencyP50Ms: 0.131,
      latencyP99Ms: 0.4,
      meanLatencyNs: 131_000.4,
      vcpuMeanLatencyNs: [100.4, 200.6],
      latencyBuckets: [0, 1, 2],
    },
    brownout: [1, 0.123456],
    brownoutSpanMs: 100,
  };

  it('has what the vCPUs waited for, in whole units, on the destination in post-copy', () => {
    const there = { side: 'destination', status: 'postcopy-active', postcopy } as const;
    expect(reply(there)).toMatchObject({
      'postcopy-blocktime': 5,
      'postcopy-vcpu-blocktime': [30, 21],
      'postcopy-latency': 131_000,
      'postcopy-latency-dist': [0, 1, 2],
      'postcopy-vcpu-latency': [100, 201],
      'postcopy-non-vcpu-latency': 0,
      ram: { 'postcopy-requests': 200 },
    });
    // A source learns the sums at the end; QEMU's members are the destination's.
    const here = reply({ status: 'completed', postcopy });
    expect(Object.keys(here).filter((name) => name.startsWith('postcopy'))).toEqual([]);
    expect(here.ram).toMatchObject({ 'postcopy-requests': 200 });
  });

  it('has the rest of post-copy in x-sterna', () => {
    const ours = (changes: Partial<PostcopyInfo>) => {
      const info = { status: 'postcopy-paused', postcopy: { ...postcopy, ...changes } } as const;
      return (reply(info)['x-sterna'] as Record<string, unknown>).postcopy;
    };
    expect(ours({})).toEqual({
      missing: 4000,
      remaining: 1000,
      'duration-ms': 900,
      requests: 200,
      'late-requests': 3,
      duplicates: 1,
      'waited-share': 0.05,
      recoveries: 2,
      'paused-ms': 12.346,
      'waits-for-resume': false,
      'blocktime-ms': 5.4,
      'vcpu-blocktime-ms': [30.4, 20.6],
      'latency-ms': 0.131,
      'latency-p50-ms': 0.131,
      'latency-p99-ms': 0.4,
      brownout: [1, 0.1235],
      'brownout-span-ms': 100,
    });
    expect(ours({ pausedError: error })).toMatchObject({ 'paused-error': { phase: 'active' } });
    expect(ours({ preemptError: error })).toMatchObject({ 'preempt-error': { phase: 'active' } });
    expect(ours({ blocktime: undefined })).not.toHaveProperty('blocktime-ms');
    const unknown = { latencyP50Ms: undefined, latencyP99Ms: undefined };
    const sums = { ...postcopy.blocktime, ...unknown } as PostcopyInfo['blocktime'];
    expect(ours({ blocktime: sums })).not.toHaveProperty('latency-p99-ms');
    expect(ours({ brownoutSpanMs: 0 })).not.toHaveProperty('brownout');
    expect(reply({})['x-sterna']).not.toHaveProperty('postcopy');
  });

  it('has ours in x-sterna', () => {
    const ours = reply({ guestDowntimeUs: 1500, guestDowntimeErrorUs: 20 })['x-sterna'];
    expect(ours).toMatchObject({
      'migration-id': 'm1',
      side: 'source',
      epoch: 3,
      owner: 'source',
      mode: 'precopy',
      transferred: 1000,
      'guest-downtime-us': 1500,
      'guest-downtime-error-us': 20,
      'downtime-parts': { pause: 0.123, pages: 2 },
      'page-kinds': {
        zero: { pages: 0, bytes: 0 },
        raw: { pages: 0, bytes: 0 },
        xbzrle: { pages: 0, bytes: 0 },
        unchanged: { pages: 0, bytes: 0 },
      },
      passes: [
        {
          pass: 1,
          stopped: false,
          'start-ms': 1,
          'duration-ms': 2,
          'dirty-pages': 3,
          'sent-pages': 4,
          'sent-bytes': 5,
          'zero-pages': 6,
          'raw-pages': 7,
          'xbzrle-pages': 8,
          'unchanged-pages': 9,
          'dirtied-pages': 10,
          'written-pages': 14,
          syncs: 2,
          'effective-bytes-per-second': 11,
          'expected-downtime-ms': null,
        },
      ],
    });
  });

  it.each([
    ['active', 'pending', 'running'],
    ['completed', 'pending', 'running'],
    ['completed', 'running', 'running'],
    ['completed', 'identical', 'identical'],
    ['completed', 'mismatch', 'mismatch'],
    ['failed', 'pending', 'skipped'],
    ['cancelled', 'pending', 'skipped'],
  ] as const)('says of the proof in %s, %s: %s', (status, verify, expected) => {
    const info = { status, verify: { status: verify, pages: 4, mismatches: [] } } as const;
    expect(reply(info)['x-sterna']).toMatchObject({ verify: { status: expected, pages: 4 } });
  });
});
