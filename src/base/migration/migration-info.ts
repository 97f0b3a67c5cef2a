import type { ErrorReport, GuestOwner } from '../errors.ts';
import type { Diagnosis, PolicyInfo, ThrottleInfo } from './convergence-info.ts';
import type { CodecChoice, MigrationMode } from './migration-parameters.ts';

/** QEMU's states (reference: qapi/migration.json), those that this version can be in. */
export type MigrationStatus =
  | 'none'
  | 'setup'
  | 'active'
  | 'device'
  | 'postcopy-active'
  | 'postcopy-paused'
  | 'postcopy-recover-setup'
  | 'postcopy-recover'
  | 'completed'
  | 'failed'
  | 'cancelling'
  | 'cancelled';

/** The guest runs at the destination, and pages that only the source has are missing. */
export function isPostcopy(status: MigrationStatus | undefined): boolean {
  return status?.startsWith('postcopy-') === true;
}

/** As QEMU tells them apart: nothing will change any more, but for the proof. */
export function isOver(status: MigrationStatus | undefined): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/**
 * What is known of one migration, from one side, at one moment. Plain data: the engine publishes
 * it, it crosses the thread boundary, `query-migrate` and the CLI render it. It survives failure
 * and cancellation.
 */
export interface MigrationInfo {
  readonly side: 'source' | 'destination';
  readonly status: MigrationStatus;
  readonly migrationId: string;
  readonly mode: MigrationMode;
  readonly epoch: number;
  readonly owner: GuestOwner;
  readonly error: ErrorReport | undefined;
  /** From the command to now, or to the end. */
  readonly totalTimeMs: number;
  /** Command -> first pass. */
  readonly setupTimeMs: number;
  /** Time this side spent in pre-copy passes so far. */
  readonly activeTimeMs: number;
  /**
   * Undefined until something was measured: an estimate that is only the goal is not an estimate.
   */
  readonly expectedDowntimeMs: number | undefined;
  /** Pause -> the destination says that the guest runs. Undefined before. */
  readonly downtimeMs: number | undefined;
  /**
   * Longest gap between two steps of any vCPU around the switch. Known after the destination ran
   * for a moment.
   */
  readonly guestDowntimeUs: number | undefined;
  /** Error bound of `guestDowntimeUs` from the clock offset between the hosts. */
  readonly guestDowntimeErrorUs: number | undefined;
  /** Named parts of the downtime in milliseconds, in order; they add up to `downtimeMs`. */
  readonly downtimeParts: Readonly<Record<string, number>>;
  readonly ram: RamCounters;
  readonly xbzrle: XbzrleCounters | undefined;
  /** Undefined at a destination, and while nothing was compressed. */
  readonly compression?: CompressionCounters | undefined;
  /** Undefined at a destination. */
  readonly codec?: CodecInfo | undefined;
  readonly pageKinds: Readonly<Record<PageKindCounter, PagesAndBytes>>;
  readonly passes: readonly PassRecord[];
  /** Undefined until the guest was handed over with pages missing. */
  readonly postcopy: PostcopyInfo | undefined;
  readonly verify: VerifyReport;
  /** A source's, in pre-copy and after it. */
  readonly policy?: PolicyInfo | undefined;
  /** Undefined when the guest was never slowed. */
  readonly throttle?: ThrottleInfo | undefined;
  /** As it was after the last pass. */
  readonly diagnosis?: Diagnosis | undefined;
  readonly blockedReasons: readonly string[];
}

export interface RamCounters {
  /** On the wire so far, headers and machine state included. */
  readonly transferredBytes: number;
  /** Pages known to be dirty x page size. */
  readonly remainingBytes: number;
  readonly totalBytes: number;
  readonly pageBytes: number;
  /** Sent whole. */
  readonly normalPages: number;
  readonly zeroPages: number;
  readonly dirtyPagesPerSecond: number;
  readonly dirtySyncCount: number;
  readonly bitsPerSecond: number;
  readonly pagesPerSecond: number;
  /** On the connections of `multifd`. */
  readonly multifdBytes: number;
  readonly precopyBytes: number;
  readonly downtimeBytes: number;
  /** Since the guest runs at the destination. */
  readonly postcopyBytes: number;
}

/** Post-copy, as far as the side knows it: the source sends, the destination's guest waits. */
export interface PostcopyInfo {
  /** Pages that were missing when the guest was handed over. */
  readonly missingPages: number;
  readonly remainingPages: number;
  /** Since the guest was handed over, until its last page had come. */
  readonly durationMs: number;
  /** Different pages that were asked for. */
  readonly requests: number;
  /** Requests for pages that were under way already. */
  readonly lateRequests: number;
  /** Pages that came again and were dropped. */
  readonly duplicatePages: number;
  /** Share of the missing pages that a vCPU waited for, 0 to 1. */
  readonly waitedShare: number;
  /** Times that a lost link was made anew. */
  readonly recoveries: number;
  /** Time without a link, milliseconds. */
  readonly pausedMs: number;
  /** Why there is no link now. */
  readonly pausedError: ErrorReport | undefined;
  /** There is no link, and this side makes none by itself. A destination is always found. */
  readonly waitsForResume: boolean;
  /**
   * Why requested pages go the way of all others in spite of `postcopy-preempt`. Undefined while
   * they have their own, and at a destination.
   */
  readonly preemptError?: ErrorReport | undefined;
  /** What the guest waited for. A source learns it at the end. */
  readonly blocktime: BlocktimeInfo | undefined;
  /**
   * Share of its time that the guest was blocked, 0 to 1, for each stretch of `brownoutSpanMs`
   * since it runs at the destination: how slow it was, and when that was over.
   */
  readonly brownout: readonly number[];
  readonly brownoutSpanMs: number;
  /** What the destination sent back; undefined without `x-postcopy-journal`. */
  readonly journal: JournalInfo | undefined;
  /** Undefined where none was asked for, and at a destination. */
  readonly spill?: SpillInfo | undefined;
}

/**
 * The journal of post-copy. The destination counts what it sent and the source has acknowledged,
 * the source what it has applied.
 */
export interface JournalInfo {
  /** Whole points that the source could go back to, one after the other. */
  readonly points: number;
  /** Page entries and bytes of JOURNAL_PAGES, also of points that were not finished. */
  readonly pages: number;
  readonly bytes: number;
  /** Time for which points have paused the guest: of all, of the longest. 0 at the source. */
  readonly pauseMs: number;
  readonly longestPauseMs: number;
  /** Of each of the newest points, in order. Empty at the source. */
  readonly recentPausesMs: readonly number[];
  /** Age of the last whole point; undefined before the first. */
  readonly lastPointMs: number | undefined;
  /** Pages that have changed since and are known: what a loss now would lose at least. */
  readonly lagPages: number;
  /** The guest changes more between two points than the buffer holds: no more points are made. */
  readonly isOverfull: boolean;
  /** Why no more points are made, when something failed; undefined at the source. */
  readonly error: ErrorReport | undefined;
}

/** The page spill of a source: the missing pages on disk, should its process be lost. */
export interface SpillInfo {
  readonly path: string;
  /** `failed`: the migration goes on without one. `removed`: nothing is missing any more. */
  readonly status: 'writing' | 'durable' | 'failed' | 'removed';
  readonly writtenBytes: number;
  /** From the moment at which the guest ran at the destination. Undefined before. */
  readonly durableAfterMs: number | undefined;
  readonly error: ErrorReport | undefined;
}

/** QEMU's figures of the capability `postcopy-blocktime`. */
export interface BlocktimeInfo {
  /** Time in which every vCPU was blocked at once. */
  readonly allBlockedMs: number;
  readonly vcpuBlockedMs: readonly number[];
  /** Mean time from a fault until its vCPU went on; 0 without a fault. */
  readonly meanLatencyNs: number;
  readonly vcpuMeanLatencyNs: readonly number[];
  /** 24 buckets: the N-th counts waits of 2^N to 2^(N+1) microseconds. */
  readonly latencyBuckets: readonly number[];
  /** To within 5 %. A source does not learn them. */
  readonly latencyP50Ms: number | undefined;
  readonly latencyP99Ms: number | undefined;
}

export type PageKindCounter = 'zero' | 'raw' | 'xbzrle' | 'lz4' | 'lz4-xbzrle' | 'unchanged';

export interface PagesAndBytes {
  readonly pages: number;
  /** On the wire, page table entries included. */
  readonly bytes: number;
}

export interface XbzrleCounters {
  readonly cacheBytes: number;
  readonly encodedBytes: number;
  readonly hitPages: number;
  readonly missPages: number;
  /** Pages not cached because a fresh page holds their place. */
  readonly conflictPages: number;
  /** Hits whose delta was not smaller than the page. */
  readonly overflowPages: number;
  /** Pages of a set; 1: direct-mapped. */
  readonly ways: number;
  /** Pages that the first pass kept because they were known to be hot. */
  readonly primedPages: number;
  /** What deltas and unchanged pages took less than whole pages would have. */
  readonly savedBytes: number;
  /** What caches of other sizes would have done, estimated from one page of sixteen. */
  readonly ghosts: readonly GhostCache[];
  /** Misses / lookups in the last pass. */
  readonly missRate: number;
  /** Uncompressed / encoded bytes in the last pass. */
  readonly encodingRate: number;
}

/** QEMU's CompressionStats. Pages and their deltas that went as LZ4. */
export interface CompressionCounters {
  readonly pages: number;
  /** Pages in frames for which no helper was free. */
  readonly busyPages: number;
  /** Such pages / compressed pages in the last pass. */
  readonly busyRate: number;
  /** Payload on the wire. */
  readonly compressedBytes: number;
  /** Bytes before / after. */
  readonly compressionRate: number;
  /** What it took less on the wire than without. */
  readonly savedBytes: number;
}

/** What of the next frame becomes LZ4. */
export interface CodecInfo {
  readonly choice: CodecChoice;
  /** The destination reads LZ4. */
  readonly isAgreed: boolean;
  readonly pages: boolean;
  readonly deltas: boolean;
}

export interface GhostCache {
  readonly cacheBytes: number;
  /** Hits / lookups since the cache was sized, 0 to 1. */
  readonly hitRate: number;
}

/** One pre-copy pass, or the stop-and-copy (the last record, `stopped: true`). */
export interface PassRecord {
  readonly pass: number;
  readonly stopped: boolean;
  readonly startMs: number;
  readonly durationMs: number;
  /** Dirty when the pass began. */
  readonly dirtyPages: number;
  readonly sentPages: number;
  readonly sentBytes: number;
  readonly zeroPages: number;
  readonly rawPages: number;
  readonly xbzrlePages: number;
  readonly lz4Pages: number;
  readonly lz4XbzrlePages: number;
  readonly unchangedPages: number;
  /** Dirty at the sync that ended the pass. */
  readonly dirtiedPages: number;
  /** Different pages that the guest wrote meanwhile; some of them before their turn. */
  readonly writtenPages: number;
  /** Syncs within the pass; the one that ended it not counted. */
  readonly syncs: number;
  /** Guest bytes retired per second, by any kind. */
  readonly effectiveBytesPerSecond: number;
  readonly expectedDowntimeMs: number;
}

export interface VerifyReport {
  readonly status: 'pending' | 'running' | 'identical' | 'mismatch' | 'skipped';
  /** Pages compared so far. */
  readonly pages: number;
  /** First few differing pages as `block:pfn`. */
  readonly mismatches: readonly string[];
  /** Why it was skipped. */
  readonly reason?: string;
}
