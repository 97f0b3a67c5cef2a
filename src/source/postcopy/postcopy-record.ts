import {
  type BlocktimeInfo,
  errorReport,
  LinkOutages,
  type PostcopyInfo,
  type SternaError,
} from '../../base/index.ts';
import type { AllReceivedBody } from '../../protocol/index.ts';
import type { Journal } from './journal/journal.ts';
import type { PageSpill } from './spill/page-spill.ts';

/** What the source knows of post-copy. The engine writes it as things happen. */
export class PostcopyRecord {
  remainingPages: number;
  requests = 0;
  lateRequests = 0;
  sentPages = 0;
  readonly outages = new LinkOutages();
  /** There is no link, and no attempt will be made before `resume`. */
  waitsForResume = false;
  /** Why there was no second connection, the last time that one was to be made. */
  preemptError: SternaError | undefined;
  /** What the destination said at the end. */
  atTheEnd: AllReceivedBody | undefined;
  private startMs: number | undefined;
  private endMs: number | undefined;
  /** Bytes on the wire when it was over. What follows is the comparison. */
  endBytes: number | undefined;
  /** From the moment at which it is written. */
  spill: PageSpill | undefined;
  private readonly missingPages: number;
  private readonly journal: Journal | undefined;

  constructor(missingPages: number, journal: Journal | undefined) {
    this.journal = journal;
    this.missingPages = missingPages;
    this.remainingPages = missingPages;
  }

  /** The guest is there; again after a recovery. */
  started(nowMs: number): void {
    this.startMs ??= nowMs;
  }

  /** The destination has every page. */
  ended(nowMs: number, atTheEnd: AllReceivedBody, sentBytes: number): void {
    this.endMs = nowMs;
    this.atTheEnd = atTheEnd;
    this.endBytes = sentBytes;
  }

  /** Sent since GRANT, which went out after `grantedBytes`. */
  bytes(sentBytes: number, grantedBytes: number): number {
    return (this.endBytes ?? sentBytes) - grantedBytes;
  }

  info(nowMs: number): PostcopyInfo {
    const { missingPages, requests, atTheEnd } = this;
    const waited = atTheEnd?.requestedPages ?? requests;
    return {
      missingPages,
      remainingPages: this.remainingPages,
      durationMs: (this.endMs ?? nowMs) - (this.startMs ?? nowMs),
      requests,
      lateRequests: this.lateRequests,
      duplicatePages: 0,
      waitedShare: missingPages === 0 ? 0 : waited / missingPages,
      ...this.outages.info(nowMs),
      waitsForResume: this.waitsForResume,
      preemptError: this.preemptError === undefined ? undefined : errorReport(this.preemptError),
      blocktime: atTheEnd === undefined ? undefined : blocktime(atTheEnd),
      brownout: [],
      brownoutSpanMs: 0,
      journal: this.journal?.info(nowMs),
      spill: this.spill?.info(),
    };
  }
}

function blocktime(end: AllReceivedBody): BlocktimeInfo {
  return {
    allBlockedMs: end.blocktimeMs,
    vcpuBlockedMs: end.vcpuBlocktimeMs,
    meanLatencyNs: end.latencyNs,
    vcpuMeanLatencyNs: [],
    latencyBuckets: [],
    latencyP50Ms: undefined,
    latencyP99Ms: undefined,
  };
}
