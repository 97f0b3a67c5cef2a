import {
  errorReport,
  type GuestOwner,
  type MigrationInfo,
  type MigrationMode,
  type MigrationStatus,
  PAGE_BYTES,
  type SternaError,
  type VerifyReport,
} from '../base/index.ts';
import type { ApplyResult } from '../guestmem/index.ts';
import { PAGE_ENTRY_BYTES } from '../protocol/index.ts';

/**
 * What the destination knows of its migration; `info()` is a copy at one moment. QEMU's destination
 * is blind here.
 */
export class IncomingRecord {
  status: MigrationStatus = 'setup';
  owner: GuestOwner = 'source';
  error: SternaError | undefined;
  migrationId = '';
  mode: MigrationMode = 'precopy';
  epoch = 0;
  totalPages = 0;
  setupTimeMs = 0;
  dirtySyncCount = 0;
  /** Announced by the source when the pass began, less what came since. */
  remainingPages = 0;
  downtimeMs: number | undefined;
  guestDowntimeUs: number | undefined;
  downtimeParts: Record<string, number> = {};
  verify: VerifyReport = { status: 'pending', pages: 0, mismatches: [] };
  /** Bytes received when the source said that its guest stands still. */
  precopyBytes: number | undefined;
  /** Bytes received when GRANT came. What follows is the comparison, not the downtime. */
  grantedBytes: number | undefined;
  /** Different pages that have come. */
  receivedPages = 0;
  /** Page entries applied, repetitions counted. */
  appliedPages = 0;
  batches = 0;
  private readonly startMs: number;
  private endMs: number | undefined;
  private zeroPages = 0;
  private zeroBytes = 0;
  private rawPages = 0;
  private xbzrlePages = 0;
  private xbzrleBytes = 0;

  constructor(startMs: number) {
    this.startMs = startMs;
  }

  applied(result: ApplyResult, bodyBytes: number, tableBytes: number): void {
    this.batches += 1;
    this.receivedPages += result.newPages;
    this.zeroPages += result.zeroPages;
    const entries = result.rawPages + result.xbzrlePages;
    this.zeroBytes += tableBytes - entries * PAGE_ENTRY_BYTES;
    this.rawPages += result.rawPages;
    this.xbzrlePages += result.xbzrlePages;
    this.xbzrleBytes += Math.max(0, bodyBytes - tableBytes - result.rawPages * PAGE_BYTES);
    const pages = result.zeroPages + result.rawPages + result.xbzrlePages;
    this.appliedPages += pages;
    this.remainingPages = Math.max(0, this.remainingPages - pages);
  }

  end(nowMs: number): void {
    this.endMs ??= nowMs;
  }

  info(nowMs: number, receivedBytes: number): MigrationInfo {
    const totalTimeMs = (this.endMs ?? nowMs) - this.startMs;
    const seconds = Math.max(1e-6, (totalTimeMs - this.setupTimeMs) / 1000);
    return {
      side: 'destination',
      status: this.status,
      migrationId: this.migrationId,
      mode: this.mode,
      epoch: this.epoch,
      owner: this.owner,
      error: this.error === undefined ? undefined : errorReport(this.error),
      totalTimeMs,
      setupTimeMs: this.setupTimeMs,
      activeTimeMs: Math.max(0, totalTimeMs - this.setupTimeMs),
      expectedDowntimeMs: undefined,
      downtimeMs: this.downtimeMs,
      guestDowntimeUs: this.guestDowntimeUs,
      guestDowntimeErrorUs: undefined,
      downtimeParts: { ...this.downtimeParts },
      ram: {
        transferredBytes: receivedBytes,
        remainingBytes: this.status === 'completed' ? 0 : this.remainingPages * PAGE_BYTES,
        totalBytes: this.totalPages * PAGE_BYTES,
        pageBytes: PAGE_BYTES,
        normalPages: this.rawPages,
        zeroPages: this.zeroPages,
        dirtyPagesPerSecond: 0,
        dirtySyncCount: this.dirtySyncCount,
        bitsPerSecond: (receivedBytes * 8) / seconds,
        pagesPerSecond: this.appliedPages / seconds,
        precopyBytes: this.precopyBytes ?? receivedBytes,
        downtimeBytes:
          this.precopyBytes === undefined
            ? 0
            : (this.grantedBytes ?? receivedBytes) - this.precopyBytes,
      },
      xbzrle: undefined,
      pageKinds: {
        zero: { pages: this.zeroPages, bytes: this.zeroBytes },
        raw: { pages: this.rawPages, bytes: this.rawPages * (PAGE_BYTES + PAGE_ENTRY_BYTES) },
        xbzrle: {
          pages: this.xbzrlePages,
          bytes: this.xbzrleBytes + this.xbzrlePages * PAGE_ENTRY_BYTES,
        },
        unchanged: { pages: 0, bytes: 0 },
      },
      passes: [],
      verify: this.verify,
      blockedReasons: [],
    };
  }
}
