import {
  errorReport,
  type MigrationInfo,
  type MigrationMode,
  type MigrationStatus,
  PAGE_BYTES,
  type SternaError,
} from '../../base/index.ts';

export interface InfoStart {
  readonly side: 'source' | 'destination';
  readonly status: MigrationStatus;
  readonly migrationId: string;
  readonly mode: MigrationMode;
  readonly epoch: number;
  readonly totalBytes: number;
  readonly totalTimeMs?: number;
  readonly error?: SternaError;
}

/**
 * What is known of a migration that no engine has in hand: it connects, listens, or never got
 * further.
 */
export function initialInfo(start: InfoStart): MigrationInfo {
  const none = { pages: 0, bytes: 0 };
  const over = start.error !== undefined;
  return {
    side: start.side,
    status: start.status,
    migrationId: start.migrationId,
    mode: start.mode,
    epoch: start.epoch,
    owner: start.error?.guestOwner ?? 'source',
    error: start.error === undefined ? undefined : errorReport(start.error),
    totalTimeMs: start.totalTimeMs ?? 0,
    setupTimeMs: start.totalTimeMs ?? 0,
    activeTimeMs: 0,
    expectedDowntimeMs: undefined,
    downtimeMs: undefined,
    guestDowntimeUs: undefined,
    guestDowntimeErrorUs: undefined,
    downtimeParts: {},
    ram: {
      transferredBytes: 0,
      remainingBytes: 0,
      totalBytes: start.totalBytes,
      pageBytes: PAGE_BYTES,
      normalPages: 0,
      zeroPages: 0,
      dirtyPagesPerSecond: 0,
      dirtySyncCount: 0,
      bitsPerSecond: 0,
      pagesPerSecond: 0,
      multifdBytes: 0,
      precopyBytes: 0,
      downtimeBytes: 0,
      postcopyBytes: 0,
    },
    xbzrle: undefined,
    pageKinds: {
      zero: none,
      raw: none,
      xbzrle: none,
      lz4: none,
      'lz4-xbzrle': none,
      unchanged: none,
    },
    passes: [],
    postcopy: undefined,
    verify: over
      ? { status: 'skipped', pages: 0, mismatches: [], reason: start.error?.message ?? '' }
      : { status: 'pending', pages: 0, mismatches: [] },
    blockedReasons: [],
  };
}
