import { expect } from 'vitest';
import {
  type FaultPlan,
  type HistoryOptions,
  type HistoryResult,
  type LinkDirection,
  runHistory,
} from '../../src/experiments/simulation/index.ts';
import { SMALL_HISTORY } from './small-history.ts';

/** A few seconds, on a host that has no other work. */
export const CELL_LIMIT_MS = 180_000;

type Options = Partial<HistoryOptions>;

const busy = { ...SMALL_HISTORY.guest, stepMs: 1 };
const preempt = { preempt: true };
/** The guest faults now and then, while pages are pushed so slowly that some points are made. */
const journaled: Options = {
  guest: { ...SMALL_HISTORY.guest, stepMs: 4 },
  journal: true,
  parameters: { mode: 'postcopy', ...slowly(5e5), postcopyJournalIntervalMs: 15 },
};

/** The modes of the matrices. Every message of the protocol comes in one of them. */
export const MODES: readonly (readonly [string, Options])[] = [
  // A downtime limit that takes a few passes to meet.
  ['precopy', { parameters: { mode: 'precopy', downtimeLimitMs: 5, timeoutMs: 20 } }],
  ['stop', { parameters: { mode: 'stop', verify: 'strict' } }],
  // Enough pages for more than one frame, before the switch and in it.
  [
    'stop over several connections',
    {
      multifdChannels: 2,
      guest: { ...SMALL_HISTORY.guest, touchedPages: 600 },
      parameters: { mode: 'stop' },
    },
  ],
  [
    'precopy over several connections',
    {
      multifdChannels: 2,
      guest: { ...SMALL_HISTORY.guest, touchedPages: 600, hotPages: 300 },
      parameters: { mode: 'precopy', downtimeLimitMs: 5, timeoutMs: 20 },
    },
  ],
  // A guest that faults while pages are pushed, slowly.
  ['postcopy', { guest: busy, parameters: { mode: 'postcopy', ...slowly(4e6) } }],
  ['postcopy with a journal', journaled],
  [
    'hybrid',
    {
      ...preempt,
      guest: busy,
      parameters: { mode: 'hybrid', downtimeLimitMs: 1, postcopyAfterPasses: 1, ...slowly(4e6) },
    },
  ],
];

/**
 * Post-copy whose links stay lost until an operator acts: whether the destination has lost its
 * guest, he sees.
 */
export const OPERATED: Options = {
  ...journaled,
  recovery: { connects: true, connectMs: 1, resumeMs: 200 },
  parameters: { ...journaled.parameters, autoRecover: 'off' },
};

/** The small history in one of the modes, with that fault. */
export function runSmall(options: Options, fault: FaultPlan, retry = true): Promise<HistoryResult> {
  const parameters = { ...SMALL_HISTORY.parameters, ...options.parameters };
  return runHistory({ ...SMALL_HISTORY, ...options, parameters, fault, retry });
}

/** How many frames depart when nothing goes wrong. */
export async function framesOf(options: Options, direction: LinkDirection): Promise<number> {
  const { attempts, violations } = await runSmall(options, { kind: 'none' });
  expect(violations).toEqual([]);
  expect(attempts[0]?.outgoing.status).toBe('completed');
  return attempts[0]?.frames[direction] ?? 0;
}

/**
 * With a second attempt after a failure, only a hand-over of which nobody knows keeps the guest
 * from getting there.
 */
export function arrived({ attempts }: HistoryResult): boolean {
  return attempts.some(
    ({ incoming, outgoing }) =>
      incoming.status === 'completed' || outgoing.error?.code === 'E_OWNERSHIP_UNKNOWN',
  );
}

function slowly(bytesPerSecond: number): { maxPostcopyBandwidthBytesPerSecond: number } {
  return { maxPostcopyBandwidthBytesPerSecond: bytesPerSecond };
}
