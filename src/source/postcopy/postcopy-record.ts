import {
  type BlocktimeInfo,
  errorReport,
  type PostcopyInfo,
  type SternaError,
} from '../../base/index.ts';
import type { AllReceivedBody } from '../../protocol/index.ts';

/** What the source knows of post-copy. The engine writes it as things happen. */
export class PostcopyRecord {
  remainingPages: number;
  requests = 0;
  lateRequests = 0;
  sentPages = 0;
  recoveries = 0;
  /** While there is no link: since when, and why. */
  pausedSinceMs: number | undefined;
  pausedError: SternaError | undefined;
  /** There is no link, and no attempt will be made before `resume`. */
  waitsForResume = false;
  /** What the destination said at the end. */
  atTheEnd: AllReceivedBody | undefined;
  /** Bytes on the wire when it was over. What follows is the comparison. */
  endBytes: number | undefined;
  private readonly missingPages: number;
  private pausedMs = 0;

  constructor(missingPages: number) {
    this.missingPages = missingPages;
    this.remainingPages = missingPages;
  }

  paused(nowMs: number, error: SternaError): void {
    this.pausedSinceMs ??= nowMs;
    this.pausedError = error;
  }

  /** There is a link again. */
  recovered(nowMs: number): void {
    this.pausedMs += nowMs - (this.pausedSinceMs ?? nowMs);
    this.pausedSinceMs = undefined;
    this.pausedError = undefined;
    this.recoveries += 1;
  }

  /** Sent since GRANT, which went out after `grantedBytes`. */
  bytes(sentBytes: number, grantedBytes: number): number {
    return (this.endBytes ?? sentBytes) - grantedBytes;
  }

  info(nowMs: number): PostcopyInfo {
    const { missingPages, requests, atTheEnd, pausedError } = this;
    const waited = atTheEnd?.requestedPages ?? requests;
    return {
      missingPages,
      remainingPages: this.remainingPages,
      requests,
      lateRequests: this.lateRequests,
      duplicatePages: 0,
      waitedShare: missingPages === 0 ? 0 : waited / missingPages,
      recoveries: this.recoveries,
      pausedMs: this.pausedMs + nowMs - (this.pausedSinceMs ?? nowMs),
      pausedError: pausedError === undefined ? undefined : errorReport(pausedError),
      waitsForResume: this.waitsForResume,
      blocktime: atTheEnd === undefined ? undefined : blocktime(atTheEnd),
      brownout: [],
      brownoutSpanMs: 0,
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
  };
}
