import {
  type CodecInfo,
  type Diagnosis,
  type ErrorReport,
  errorReport,
  type GuestOwner,
  type MigrationInfo,
  type MigrationMode,
  type MigrationStatus,
  PAGE_BYTES,
  type PassRecord,
  type PolicyInfo,
  type SternaError,
  type ThrottleInfo,
  type VerifyReport,
} from '../base/index.ts';
import {
  addTotals,
  type CacheShape,
  compressionCounters,
  type DirtiedPages,
  emptyTotals,
  handledPages,
  type PageTotals,
  type PassCounters,
  pageKinds,
  passRecord,
  xbzrleCounters,
} from './counters.ts';
import type { PostcopyRecord } from './postcopy/postcopy-record.ts';

/** Every pass is kept up to here; of a migration that never ends, the newest ones. */
const PASS_RECORDS_MAX = 1000;

export interface RecordStart {
  readonly migrationId: string;
  readonly mode: MigrationMode;
  readonly epoch: number;
  readonly totalBytes: number;
  readonly startMs: number;
}

/**
 * What the source knows of its migration. The engine writes it as things happen; `info()` is a copy
 * at one moment.
 */
export class OutgoingRecord {
  status: MigrationStatus = 'setup';
  owner: GuestOwner = 'source';
  error: SternaError | undefined;
  epoch: number;
  remainingPages = 0;
  /** Syncs that begin or end a pass. */
  dirtySyncCount = 0;
  dirtyPagesPerSecond = 0;
  setupTimeMs = 0;
  expectedDowntimeMs: number | undefined;
  downtimeMs: number | undefined;
  guestDowntimeUs: number | undefined;
  guestDowntimeErrorUs: number | undefined;
  /** The destination has started it; one that an operator had paused stays paused. */
  guestRuns = false;
  /** The destination has told what the guest saw of the switch. */
  guestHasStarted = false;
  downtimeParts: Record<string, number> = {};
  verify: VerifyReport = { status: 'pending', pages: 0, mismatches: [] };
  /** Of the XBZRLE cache, as it is now; undefined: it is off. */
  cacheShape: (() => CacheShape) | undefined;
  /** Bytes that were on the wire when the guest was paused. */
  precopyBytes: number | undefined;
  /**
   * Bytes that were on the wire when GRANT was. What follows is the comparison, not the downtime.
   */
  grantedBytes: number | undefined;
  /** Time of the last bitmap sync. */
  lastSyncMs: number;
  /** What is compressed. */
  codec: { info(): CodecInfo } | undefined;
  /** Further connections for pages. */
  multifd: { readonly furtherBytes: number } | undefined;
  /** Since pre-copy began. */
  throttle: { info(): ThrottleInfo | undefined } | undefined;
  /** Of the last round. */
  diagnosis: Diagnosis | undefined;
  /** Who decides, and what was decided last. */
  policy: { info(): PolicyInfo } | undefined;
  /** From the moment at which the guest is handed over with pages missing. */
  postcopy: PostcopyRecord | undefined;
  private readonly start: RecordStart;
  private endMs: number | undefined;
  private readonly finished: PassRecord[] = [];
  private readonly sum: PageTotals = emptyTotals();
  private current: PassCounters | undefined;
  private lastTotals: PageTotals = emptyTotals();

  constructor(start: RecordStart) {
    this.start = start;
    this.epoch = start.epoch;
    this.lastSyncMs = start.startMs;
  }

  /** The epoch in which this side owned the guest when the migration began. */
  get startEpoch(): number {
    return this.start.epoch;
  }

  get currentPass(): PassCounters | undefined {
    return this.current;
  }

  beginPass(pass: number, stopped: boolean, dirtyPages: number, nowMs: number): PassCounters {
    this.current = { pass, stopped, dirtyPages, startMs: nowMs, totals: emptyTotals(), syncs: 0 };
    this.remainingPages = dirtyPages;
    return this.current;
  }

  /**
   * Pages that are pushed over one connection of post-copy: no pass, for nothing is dirtied here.
   */
  pushTotals(): PageTotals {
    if (this.current !== undefined) addTotals(this.sum, this.current.totals);
    this.current = undefined;
    return this.sum;
  }

  endPass(nowMs: number, dirtied: DirtiedPages = { dirtied: 0, written: 0 }): void {
    if (this.current === undefined) return;
    this.lastTotals = this.current.totals;
    addTotals(this.sum, this.current.totals);
    this.finished.push(passRecord(this.current, nowMs, dirtied, this.expectedDowntimeMs));
    if (this.finished.length > PASS_RECORDS_MAX) this.finished.shift();
    this.current = undefined;
  }

  end(nowMs: number): void {
    this.endMs ??= nowMs;
  }

  info(nowMs: number, sentBytes: number): MigrationInfo {
    const all = this.allTotals();
    const last = this.current?.totals ?? this.lastTotals;
    const totalTimeMs = (this.endMs ?? nowMs) - this.start.startMs;
    return {
      side: 'source',
      status: this.status,
      migrationId: this.start.migrationId,
      mode: this.start.mode,
      epoch: this.epoch,
      owner: this.owner,
      error: this.report(),
      totalTimeMs,
      setupTimeMs: this.setupTimeMs,
      activeTimeMs: Math.max(0, totalTimeMs - this.setupTimeMs - (this.downtimeMs ?? 0)),
      expectedDowntimeMs: this.expectedDowntimeMs,
      downtimeMs: this.downtimeMs,
      guestDowntimeUs: this.guestDowntimeUs,
      guestDowntimeErrorUs: this.guestDowntimeErrorUs,
      downtimeParts: { ...this.downtimeParts },
      ram: this.ramCounters(nowMs, sentBytes, all),
      xbzrle: this.cacheShape && xbzrleCounters(this.cacheShape(), all, last),
      compression: compressionCounters(all, last),
      codec: this.codec?.info(),
      pageKinds: pageKinds(all),
      passes: [...this.finished],
      postcopy: this.postcopy?.info(nowMs),
      verify: this.verify,
      policy: this.policy?.info(),
      throttle: this.throttle?.info(),
      diagnosis: this.diagnosis,
      blockedReasons: [],
    };
  }

  private allTotals(): PageTotals {
    const all = { ...this.sum };
    if (this.current !== undefined) addTotals(all, this.current.totals);
    return all;
  }

  private ramCounters(nowMs: number, sentBytes: number, all: PageTotals): MigrationInfo['ram'] {
    const pass = this.current;
    const record = this.finished.at(-1);
    // The running pass tells of now; between passes and at the end the whole run does.
    const spanMs =
      pass === undefined
        ? (this.endMs ?? nowMs) - this.start.startMs - this.setupTimeMs
        : nowMs - pass.startMs;
    const wireBytes = pass === undefined ? sentBytes : pass.totals.wireBytes;
    const pages = handledPages(pass === undefined ? all : pass.totals);
    return {
      transferredBytes: sentBytes,
      remainingBytes: this.remainingBytes(),
      totalBytes: this.start.totalBytes,
      pageBytes: PAGE_BYTES,
      normalPages: all.rawPages,
      zeroPages: all.zeroPages,
      dirtyPagesPerSecond: this.dirtyPagesPerSecond,
      dirtySyncCount: this.dirtySyncCount,
      bitsPerSecond: spanMs > 0 ? (wireBytes * 8 * 1000) / spanMs : 0,
      pagesPerSecond: spanMs > 0 ? (pages * 1000) / spanMs : (record?.sentPages ?? 0),
      multifdBytes: this.multifd?.furtherBytes ?? 0,
      precopyBytes: this.precopyBytes ?? sentBytes,
      downtimeBytes:
        this.precopyBytes === undefined ? 0 : (this.grantedBytes ?? sentBytes) - this.precopyBytes,
      postcopyBytes: this.postcopy?.bytes(sentBytes, this.grantedBytes ?? sentBytes) ?? 0,
    };
  }

  private remainingBytes(): number {
    if (this.status === 'completed') return 0;
    return (this.postcopy?.remainingPages ?? this.remainingPages) * PAGE_BYTES;
  }

  private report(): ErrorReport | undefined {
    return this.error === undefined ? undefined : errorReport(this.error);
  }
}
