import { PageBits } from './page-bits.ts';
import type { TraceGuest } from './trace-guest.ts';

export interface PushSetup {
  readonly guest: TraceGuest;
  readonly missing: PageBits;
  readonly bytesPerPage: number;
  readonly bytesPerMs: number;
  /** What a page takes where the link is no limit. */
  readonly pageMs: number;
  readonly roundTripMs: number;
  readonly faultMs: number;
  /** Where the guest is in its trace. */
  readonly guestMs: number;
}

export interface PushedPages {
  readonly durationMs: number;
  readonly wireBytes: number;
  readonly mapBytes: number;
  /** For which the guest waits for pages. */
  readonly blockedMs: number;
}

/** The guest is looked at so often while its pages come. */
const STEPS = 100;
/** A page that is waited for goes behind a frame of a millisecond. */
const FRAME_MS = 1;
/**
 * Pages come outward from those that were waited for last, so that a guest with neighbours in its
 * accesses finds half of what it needs next (docs/benchmarks.md).
 */
const UNFORESEEN_SHARE = 0.5;

/**
 * Post-copy: each page crosses once. A trace knows of writes only, so what the guest would wait for
 * is told too low for one that reads much.
 */
export function pushPages(setup: PushSetup): PushedPages {
  const { guest, missing, bytesPerPage, bytesPerMs, pageMs, roundTripMs, faultMs } = setup;
  const count = missing.count;
  const wireBytes = count * bytesPerPage;
  const durationMs = Math.max(wireBytes / bytesPerMs, count * pageMs);
  const latencyMs = roundTripMs + faultMs + FRAME_MS / 2 + bytesPerPage / bytesPerMs;
  const touched = new PageBits(guest.pageCount);
  let [blockedMs, guestMs, seen] = [0, setup.guestMs, 0];
  const stepMs = durationMs / STEPS;
  for (let step = 0; step < STEPS && count > 0; step += 1) {
    // What it waits for in this stretch is time in which it writes nothing.
    const before = guestMs;
    guest.dirty(guestMs, guestMs + stepMs, touched);
    let missed = 0;
    touched.forEach((pfn) => {
      if (missing.has(pfn)) missed += 1;
    });
    const share = 1 - (step + 0.5) / STEPS;
    const waitsMs = (missed - seen) * share * UNFORESEEN_SHARE * latencyMs;
    seen = missed;
    const waitedMs = (stepMs * waitsMs) / (stepMs + waitsMs || 1);
    blockedMs += waitedMs;
    guestMs = before + stepMs - waitedMs;
  }
  return { durationMs, wireBytes, mapBytes: Math.min(count * 2, guest.pageCount / 8), blockedMs };
}
