/** What remained when a pass of pre-copy began, and what it sent. */
export interface PassFigures {
  readonly remainingBytes: number;
  readonly sentBytes: number;
  readonly durationMs: number;
  readonly stopped: boolean;
}

/** What one migration was measured to do. Absent: it has no such figure. */
export interface Figures {
  readonly status: string;
  /** Of the comparison of both RAMs: `identical`, or why not. */
  readonly verify: string;
  readonly totalMs: number;
  /** Pause at the source to resume at the destination, or the guest's own gap if that is larger. */
  readonly downtimeMs?: number;
  readonly sourceDowntimeMs?: number;
  readonly guestDowntimeMs?: number;
  readonly sentBytes: number;
  readonly passes: readonly PassFigures[];
  /** Lookups of the XBZRLE cache that found the page. */
  readonly hitRate?: number;
  /** Page bytes over encoded bytes, of pages that went as a delta. */
  readonly deltaRatio?: number;
  /** Pages that a vCPU waited for in post-copy, and how long all vCPUs stood still. */
  readonly faults?: number;
  readonly blockedMs?: number;
  /** Pages that were missing at the switch to post-copy. */
  readonly missingPages?: number;
  /** Pages that the guest accessed from the switch to the last missing page. */
  readonly accesses?: number;
  readonly client?: ClientFigures;
}

export interface ClientFigures {
  /** Longest time between two frames or lines, or of a transaction; from before it moves on. */
  readonly longestMs: number;
  /** Longest standstill of the picture, or between two lines by the guest's clock; else 0. */
  readonly freezeMs: number;
  readonly lostFrames: number;
  readonly damagedFrames: number;
  readonly sessionsAlive: number;
  readonly sessionsDead: number;
  /** Frames or transactions per second before the migration, and in its first pass. */
  readonly rateBefore: number;
  readonly rateDuring: number;
}

/** A run that could not be made, and why. */
export interface FailedRun {
  readonly failure: string;
}

/** As query-migrate replies; only what is read here. */
export interface MigrationReply {
  readonly status: string;
  readonly 'error-desc'?: string;
  readonly 'total-time'?: number;
  readonly downtime?: number;
  readonly ram?: { readonly transferred: number };
  readonly 'xbzrle-cache'?: {
    readonly bytes: number;
    readonly pages: number;
    readonly 'cache-miss': number;
  };
  readonly 'x-sterna'?: SternaReply;
}

interface SternaReply {
  readonly 'downtime-ms'?: number;
  readonly 'guest-downtime-us'?: number;
  readonly verify?: { readonly status: string };
  readonly passes?: readonly PassReply[];
  readonly postcopy?: {
    readonly requests: number;
    readonly missing: number;
    readonly 'blocktime-ms'?: number;
  };
}

interface PassReply {
  readonly stopped: boolean;
  readonly 'duration-ms': number | null;
  readonly 'dirty-pages': number;
  readonly 'sent-bytes': number;
}

const PAGE_BYTES = 4096;

/** SOURCE and DESTINATION: their last replies. Pure. */
export function figuresOf(source: MigrationReply, destination: MigrationReply): Figures {
  const ours = source['x-sterna'];
  const sourceDowntimeMs = ours?.['downtime-ms'] ?? source.downtime;
  const guestUs = ours?.['guest-downtime-us'];
  const guestDowntimeMs = guestUs === undefined ? undefined : guestUs / 1000;
  const known = [sourceDowntimeMs, guestDowntimeMs].filter((value) => value !== undefined);
  const postcopy = destination['x-sterna']?.postcopy ?? ours?.postcopy;
  return defined<Figures>({
    status: source.status,
    verify: ours?.verify?.status ?? 'unknown',
    totalMs: source['total-time'] ?? 0,
    downtimeMs: known.length === 0 ? undefined : Math.max(...known),
    sourceDowntimeMs,
    guestDowntimeMs,
    sentBytes: source.ram?.transferred ?? 0,
    passes: (ours?.passes ?? []).map((pass) => ({
      remainingBytes: pass['dirty-pages'] * PAGE_BYTES,
      sentBytes: pass['sent-bytes'],
      durationMs: pass['duration-ms'] ?? 0,
      stopped: pass.stopped,
    })),
    ...cacheFigures(source),
    faults: postcopy?.requests,
    blockedMs: postcopy?.['blocktime-ms'],
    missingPages: postcopy?.missing,
  });
}

function cacheFigures(source: MigrationReply) {
  const cache = source['xbzrle-cache'];
  if (cache === undefined) return {};
  const lookups = cache.pages + cache['cache-miss'];
  return {
    hitRate: lookups === 0 ? undefined : cache.pages / lookups,
    deltaRatio: cache.bytes === 0 ? undefined : (cache.pages * PAGE_BYTES) / cache.bytes,
  };
}

/** Leaves out what is undefined. */
function defined<Result>(
  fields: {
    readonly [Key in keyof Result]: Result[Key] | undefined;
  },
): Result {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  // Only optional fields may be undefined in Result.
  return Object.fromEntries(entries) as Result;
}
