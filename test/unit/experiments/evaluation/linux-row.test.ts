import { expect, test } from 'vitest';
import type { Figures } from '../../../../src/experiments/evaluation/index.ts';
import { linux } from '../../../../src/experiments/evaluation/scenarios/linux.ts';
import { run } from './evaluation-fixtures.ts';

const CLIENT = {
  ...{ longestMs: 100, freezeMs: 0, lostFrames: 0, damagedFrames: 0 },
  ...{ sessionsAlive: 1, sessionsDead: 0, rateBefore: 1, rateDuring: 1 },
};
const DOWNTIME = { stop: 2500, postcopy: 20, hybrid: 20, precopy: 20 };
const SENT = { stop: 100, postcopy: 100, hybrid: 110, precopy: 120 };

/** What all variants measured, with `change` in one of them. */
function verdict(change: Partial<Figures> = {}, changed = 'hybrid sqlite') {
  return linux.judge((variant) => {
    // The first word of a variant.
    const mode = variant.split(' ')[0] as keyof typeof SENT;
    const figures = { downtimeMs: DOWNTIME[mode], sentBytes: SENT[mode] * 2 ** 20, client: CLIENT };
    return [run({ ...figures, ...(variant === changed ? change : {}) })];
  });
}

test('the row holds where all is well', () => {
  expect(verdict()).toMatchObject({ direction: 'holds', ratio: 'holds' });
});

test.each<[string, Partial<Figures>]>([
  ['a guest that falls silent', { client: { ...CLIENT, sessionsAlive: 0, sessionsDead: 1 } }],
  ['a load that tells of something bad', { client: { ...CLIENT, damagedFrames: 1 } }],
  ['a load that goes back', { client: { ...CLIENT, lostFrames: 1 } }],
  ['a run without a word of its load', { client: undefined as never }],
  ['a migration that failed', { status: 'failed' }],
  ['RAM that differs', { verify: 'mismatch' }],
])('%s ends the claim', (_, change) => {
  expect(verdict(change).ratio).toBe('does not hold');
});

test.each<[string, Partial<Figures>, string]>([
  ['a downtime as long as that of stop', { downtimeMs: 2600 }, 'precopy redis'],
  ['post-copy that sends more than hybrid', { sentBytes: 130 * 2 ** 20 }, 'postcopy redis'],
])('%s turns the direction', (_, change, variant) => {
  expect(verdict(change, variant).direction).toBe('does not hold');
});
