import { PAGE_BYTES } from '../../src/base/index.ts';
import {
  type EndDecision,
  expectedDowntimeMs,
  guestSpeed,
  type Policy,
  type PolicyLimits,
  type PolicyPass,
  type PolicyRound,
} from '../../src/source/index.ts';

export const NO_LIMITS: PolicyLimits = {
  downtimeLimitMs: 300,
  timeoutMs: 0,
  timeoutAction: 'suspend',
  maxBandwidthBytesPerSecond: 0,
  maxPostcopyBandwidthBytesPerSecond: 0,
  availSwitchoverBandwidthBytesPerSecond: 0,
  hybrid: undefined,
  autoConverge: undefined,
  allows: { throttle: false, postcopy: false, suspend: true, cancel: false },
};

/** QEMU's defaults. */
export const AUTO_CONVERGE: NonNullable<PolicyLimits['autoConverge']> = {
  initialPercent: 20,
  incrementPercent: 10,
  maxPercent: 99,
  triggerPercent: 50,
  tailslow: false,
};

/** 100 pages of 4112 bytes at 1000 bytes/ms: 411.2 ms, and 5 ms for the switch itself. */
export const ROUND: PolicyRound = {
  pass: 2,
  remainingPages: 100,
  lastRemainingPages: 200,
  inFlightBytes: 0,
  wireBytesPerPage: 4112,
  encodeMsPerPage: 0,
  linkBytesPerMs: 1000,
  windowBytesPerMs: 1000,
  overheadMs: 5,
  elapsedMs: 1000,
  ramPages: 300,
  sentBytes: 1_000_000,
  history: [],
  throttlePercent: 0,
  limits: NO_LIMITS,
};

/** A pass that sent what was dirty, by default all of it raw at 1000 bytes/ms. */
export function policyPass(change: Partial<PolicyPass> = {}): PolicyPass {
  const dirtyPages = change.dirtyPages ?? 200;
  const wireBytes = change.wireBytes ?? dirtyPages * 4112;
  const durationMs = change.durationMs ?? wireBytes / 1000;
  const dirtiedPages = change.dirtiedPages ?? dirtyPages;
  return {
    pass: 1,
    dirtyPages,
    sentPages: dirtyPages,
    wireBytes,
    durationMs,
    dirtiedPages,
    remainingPages: change.remainingPages ?? dirtiedPages,
    effectiveBytesPerMs: durationMs > 0 ? (dirtyPages * PAGE_BYTES) / durationMs : 0,
    encodeMs: 0,
    busyShare: 1,
    throttlePercent: 0,
    ...change,
  };
}

/** A guest that writes its hot pages at random, and a link: what follows is arithmetic. */
export interface ModelGuest {
  readonly ramPages: number;
  readonly hotPages: number;
  /** Writes, of which several may meet one page. */
  readonly writesPerMs: number;
  readonly linkBytesPerMs: number;
  /** Of its vCPU's time, what it runs for. Default 1. */
  readonly busyShare?: number;
  /** Of a page that is sent again; 4112: no delta. */
  readonly againBytes: number;
  readonly encodeMsPerPage?: number;
  /** Replaces `writesPerMs` from a time on. */
  readonly writesPerMsAt?: (elapsedMs: number) => number;
}

export interface ModelRun {
  readonly rounds: readonly PolicyRound[];
  /** Undefined when it was still iterating after so many passes. */
  readonly end: EndDecision | undefined;
  readonly totalMs: number;
  readonly sentBytes: number;
  readonly downtimeMs: number;
  readonly throttles: readonly number[];
}

const RAW_BYTES = 4112;
const OVERHEAD_MS = 3;

/** Runs a policy against the model, as the engine would. */
export function runModel(
  policy: Policy,
  guest: ModelGuest,
  change: Partial<PolicyLimits> = {},
  passesMax = 200,
): ModelRun {
  const limits = { ...NO_LIMITS, ...change };
  const cap = limits.maxBandwidthBytesPerSecond / 1000;
  let pace = policy.begin?.({ ramPages: guest.ramPages, limits }).bytesPerSecond ?? 0;
  let dirtyPages = guest.ramPages;
  let elapsedMs = 0;
  let sentBytes = 0;
  let throttle = 0;
  const rounds: PolicyRound[] = [];
  const throttles: number[] = [];
  for (let pass = 1; pass <= passesMax; pass += 1) {
    const rates = [guest.linkBytesPerMs, cap, pace / 1000].filter((rate) => rate > 0);
    const rate = Math.min(...rates);
    const wireBytes = dirtyPages * (pass === 1 ? RAW_BYTES : guest.againBytes);
    const encodeMs = pass === 1 ? 0 : dirtyPages * (guest.encodeMsPerPage ?? 0);
    const durationMs = Math.max(5, wireBytes / rate, encodeMs);
    const writes = guest.writesPerMsAt?.(elapsedMs) ?? guest.writesPerMs;
    const busyShare = guest.busyShare ?? 1;
    const written = writes * durationMs * guestSpeed(throttle, busyShare);
    const share = 1 - Math.exp(-written / guest.hotPages);
    const dirtiedPages = Math.round(guest.hotPages * share);
    elapsedMs += durationMs;
    sentBytes += wireBytes;
    const ending: PolicyPass = {
      pass,
      dirtyPages,
      sentPages: dirtyPages,
      wireBytes,
      durationMs,
      dirtiedPages,
      remainingPages: dirtiedPages,
      effectiveBytesPerMs: (dirtyPages * PAGE_BYTES) / durationMs,
      encodeMs,
      busyShare: Math.min(busyShare, 1 - throttle / 100),
      throttlePercent: throttle,
    };
    const round: PolicyRound = {
      pass,
      remainingPages: dirtiedPages,
      lastRemainingPages: rounds.at(-1)?.remainingPages,
      inFlightBytes: 0,
      wireBytesPerPage: wireBytes / Math.max(1, dirtyPages),
      encodeMsPerPage: encodeMs / Math.max(1, dirtyPages),
      linkBytesPerMs: cap > 0 ? Math.min(cap, guest.linkBytesPerMs) : guest.linkBytesPerMs,
      windowBytesPerMs: wireBytes / durationMs,
      overheadMs: OVERHEAD_MS,
      elapsedMs,
      ramPages: guest.ramPages,
      sentBytes,
      history: [...(rounds.at(-1)?.history ?? []), ending],
      throttlePercent: throttle,
      limits,
    };
    rounds.push(round);
    const decision = policy.decide(round);
    if (decision.action !== 'iterate') {
      const downtimeMs =
        decision.action === 'postcopy' ? OVERHEAD_MS : (expectedDowntimeMs(round) ?? Number.NaN);
      return { rounds, end: decision, totalMs: elapsedMs, sentBytes, downtimeMs, throttles };
    }
    pace = decision.bytesPerSecond ?? 0;
    throttle = decision.throttlePercent ?? throttle;
    throttles.push(throttle);
    dirtyPages = dirtiedPages;
  }
  const downtimeMs = Number.NaN;
  return { rounds, end: undefined, totalMs: elapsedMs, sentBytes, downtimeMs, throttles };
}
