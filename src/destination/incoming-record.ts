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
import type { Channel } from '../channel/index.ts';
import type { ApplyResult } from '../guestmem/index.ts';
import { PAGE_ENTRY_BYTES } from '../protocol/index.ts';
import type { IncomingPostcopyRecord } from './incoming-postcopy-record.ts';

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
  /** From the moment at which the guest runs here with pages missing. */
  postcopy: IncomingPostcopyRecord | undefined;
  /** Bytes received when nothing was missing any more. */
  completeBytes: number | undefined;
  /** Different pages that have come. */
  receivedPages = 0;
  /** Page entries applied, repetitions counted. */
  appliedPages = 0;
  batches = 0;
  /** On connections that were lost. */
  private lostBytes = 0;
  /** Beside the one for everything: what comes there counts, too. */
  private second: Pick<Channel, 'receivedBytes'> | undefined;
  /** On second connections that were lost. */
  private lostSecondBytes = 0;
  private readonly startMs: number;
  /** Further connections for pages before the switch. */
  multifd: { readonly receivedBytes: number } | undefined;
  private endMs: number | undefined;
  private zeroPages = 0;
  private zeroBytes = 0;
  private rawPages = 0;
  private xbzrlePages = 0;
  private xbzrleBytes = 0;
  private lz4Pages = 0;
  private lz4Bytes = 0;
  private lz4XbzrlePages = 0;
  private lz4XbzrleBytes = 0;

  constructor(startMs: number) {
    this.startMs = startMs;
  }

  applied(result: ApplyResult, tableBytes: number): void {
    this.batches += 1;
    this.receivedPages += result.newPages;
    this.zeroPages += result.zeroPages;
    const { rawPages, xbzrlePages, lz4Pages, lz4XbzrlePages } = result;
    const entries = rawPages + xbzrlePages + lz4Pages + lz4XbzrlePages;
    this.zeroBytes += tableBytes - entries * PAGE_ENTRY_BYTES;
    this.rawPages += rawPages;
    this.xbzrlePages += xbzrlePages;
    this.xbzrleBytes += result.xbzrleBytes;
    this.lz4Pages += lz4Pages;
    this.lz4Bytes += result.lz4Bytes;
    this.lz4XbzrlePages += lz4XbzrlePages;
    this.lz4XbzrleBytes += result.lz4XbzrleBytes;
    const pages = result.zeroPages + entries;
    this.appliedPages += pages;
    this.remainingPages = Math.max(0, this.remainingPages - pages);
    if (this.postcopy === undefined) return;
    this.postcopy.remainingPages = this.totalPages - this.receivedPages;
    this.postcopy.duplicatePages += result.duplicatePages;
  }

  /** On all connections of the source so far, but second ones. */
  receivedBytes(channel: Pick<Channel, 'receivedBytes'>): number {
    return this.lostBytes + channel.receivedBytes;
  }

  /** What came on it counts, and what comes on the next one is added. */
  leave(channel: Pick<Channel, 'receivedBytes'>): void {
    this.lostBytes += channel.receivedBytes;
  }

  /** A second connection, in place of the one before; undefined: there is none any more. */
  attach(second: Pick<Channel, 'receivedBytes'> | undefined): void {
    this.lostSecondBytes += this.second?.receivedBytes ?? 0;
    this.second = second;
  }

  end(nowMs: number): void {
    this.endMs ??= nowMs;
  }

  info(nowMs: number, mainBytes: number): MigrationInfo {
    const secondBytes = this.lostSecondBytes + (this.second?.receivedBytes ?? 0);
    const receivedBytes = mainBytes + secondBytes;
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
        remainingBytes: this.remainingBytes(),
        totalBytes: this.totalPages * PAGE_BYTES,
        pageBytes: PAGE_BYTES,
        normalPages: this.rawPages,
        zeroPages: this.zeroPages,
        dirtyPagesPerSecond: 0,
        dirtySyncCount: this.dirtySyncCount,
        bitsPerSecond: (receivedBytes * 8) / seconds,
        pagesPerSecond: this.appliedPages / seconds,
        multifdBytes: this.multifd?.receivedBytes ?? 0,
        precopyBytes: this.precopyBytes ?? mainBytes,
        downtimeBytes:
          this.precopyBytes === undefined
            ? 0
            : (this.grantedBytes ?? mainBytes) - this.precopyBytes,
        postcopyBytes:
          this.postcopy === undefined
            ? 0
            : (this.completeBytes ?? mainBytes) - (this.grantedBytes ?? mainBytes) + secondBytes,
      },
      xbzrle: undefined,
      pageKinds: {
        zero: { pages: this.zeroPages, bytes: this.zeroBytes },
        raw: { pages: this.rawPages, bytes: this.rawPages * (PAGE_BYTES + PAGE_ENTRY_BYTES) },
        xbzrle: {
          pages: this.xbzrlePages,
          bytes: this.xbzrleBytes + this.xbzrlePages * PAGE_ENTRY_BYTES,
        },
        lz4: { pages: this.lz4Pages, bytes: this.lz4Bytes + this.lz4Pages * PAGE_ENTRY_BYTES },
        'lz4-xbzrle': {
          pages: this.lz4XbzrlePages,
          bytes: this.lz4XbzrleBytes + this.lz4XbzrlePages * PAGE_ENTRY_BYTES,
        },
        unchanged: { pages: 0, bytes: 0 },
      },
      passes: [],
      postcopy: this.postcopy?.info(nowMs),
      verify: this.verify,
      blockedReasons: [],
    };
  }

  private remainingBytes(): number {
    if (this.status === 'completed') return 0;
    return (this.postcopy?.remainingPages ?? this.remainingPages) * PAGE_BYTES;
  }
}
