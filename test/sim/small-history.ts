import { PAGE_BYTES, RAM_BYTES_MIN } from '../../src/base/index.ts';
import type { HistoryOptions } from '../../src/experiments/simulation/index.ts';

const RAM_PAGES = RAM_BYTES_MIN / PAGE_BYTES;

/**
 * A guest that is through in a few frames, so that each of them can be tried. Nothing goes wrong
 * unless it is asked for.
 */
export const SMALL_HISTORY = {
  seed: 1,
  guest: {
    blockPages: [RAM_PAGES],
    vcpuCount: 2,
    touchedPages: 12,
    hotPages: 4,
    pattern: 'uniform',
    stepMs: 5,
    writesPerStep: 2,
    strayEvery: 50,
    safepointMs: 0.1,
  },
  link: {
    latencyMs: 0.5,
    bandwidthBytesPerSecond: 100e6,
    bufferBytes: 256 * 2 ** 10,
    pieceBytesMax: 0,
  },
  parameters: {
    mode: 'precopy',
    maxBandwidthBytesPerSecond: 0,
    downtimeLimitMs: 300,
    timeoutMs: 0,
    timeoutAction: 'suspend',
    verify: 'after',
    stallTimeoutMs: 400,
    maxPostcopyBandwidthBytesPerSecond: 0,
    postcopyAfterPasses: 1,
    postcopyPlateau: 'on',
    postcopyOrder: 'bubbling',
    autoRecover: 'on',
    postcopyJournalIntervalMs: 10,
  },
  xbzrle: true,
  startPaused: false,
  recordMs: 0.5,
  fault: { kind: 'none' },
  breaks: [],
  recovery: { connects: true, connectMs: 1, resumeMs: 3000 },
  preempt: false,
  postcopyAtMs: undefined,
  retry: true,
  hops: 0,
  journal: false,
  operator: 'resumes',
  multifdChannels: 0,
} as const satisfies HistoryOptions;
