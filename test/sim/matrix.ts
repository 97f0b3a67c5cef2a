import { expect } from 'vitest';
import {
  type FaultPlan,
  type HistoryOptions,
  type HistoryResult,
  type LinkDirection,
  runHistory,
} from '../../src/experiments/simulation/index.ts';
import { SMALL_HISTORY } from './small-history.ts';

type Options = Partial<HistoryOptions>;

const busy = { ...SMALL_HISTORY.guest, stepMs: 1 };
const preempt = { preempt: true };

/** The modes of the matrices. Every message of the protocol comes in one of them. */
export const MODES: readonly (readonly [string, Options])[] = [
  // A downtime limit that takes a few passes to meet.
  ['precopy', { parameters: { mode: 'precopy', downtimeLimitMs: 5, timeoutMs: 20 } }],
  ['stop', { parameters: { mode: 'stop', verify: 'strict' } }],
  // A guest that faults while pages are pushed, slowly.
  ['postcopy', { guest: busy, parameters: { mode: 'postcopy', ...slowly() } }],
  [
    'hybrid',
    {
      ...preempt,
      guest: busy,
      parameters: { mode: 'hybrid', downtimeLimitMs: 1, postcopyAfterPasses: 1, ...slowly() },
    },
  ],
];

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

function slowly(): { maxPostcopyBandwidthBytesPerSecond: number } {
  return { maxPostcopyBandwidthBytesPerSecond: 4e6 };
}
