import { describe, expect, test } from 'vitest';
import { type HistoryOptions, runHistory } from '../../src/experiments/simulation/index.ts';
import { SMALL_HISTORY } from './small-history.ts';

/**
 * Histories that once broke a rule. Their plans are written out: a seed means something else when
 * plans change.
 */
const FOUND: readonly (readonly [string, Partial<HistoryOptions>])[] = [
  [
    'the source says ERROR, and the destination never ended',
    {
      fault: { kind: 'ledger', side: 'source', write: 1, lasting: false, stays: false },
      retry: false,
    },
  ],
  [
    'a timeout of pre-copy ends a migration, and the destination never ended',
    {
      parameters: {
        ...SMALL_HISTORY.parameters,
        downtimeLimitMs: 1,
        timeoutMs: 20,
        timeoutAction: 'cancel',
      },
      retry: false,
    },
  ],
  [
    'the link breaks while the destination records that it owns the guest, which it then destroyed',
    {
      recordMs: 20,
      fault: { kind: 'frame', fate: 'duplicate', direction: 'to-destination', at: 'GRANT' },
    },
  ],
  [
    'the record that the guest is given away was on disk before the guest stood still',
    { recordMs: 0, guest: { ...SMALL_HISTORY.guest, safepointMs: 0.4 } },
  ],
  [
    'the disk of the source stays full, and no owner was reported',
    {
      fault: { kind: 'ledger', side: 'source', write: 1, lasting: true, stays: true },
      retry: false,
    },
  ],
  [
    'hashes are damaged after the switch, and the rest of them was taken for all',
    { fault: { kind: 'frame', fate: 'corrupt', direction: 'to-destination', at: 'VERIFY_HASHES' } },
  ],
  [
    'a page of a short pass came behind its newer self, which took another connection',
    {
      seed: 1213,
      multifdChannels: 5,
      xbzrle: false,
      recordMs: 0,
      recovery: { connects: true, connectMs: 60, resumeMs: 200 },
      guest: {
        ...SMALL_HISTORY.guest,
        blockPages: [3102, 994],
        touchedPages: 767,
        hotPages: 736,
        pattern: 'skewed',
        stepMs: 1,
        strayEvery: 100_000,
        safepointMs: 0.05,
      },
      link: { ...SMALL_HISTORY.link, latencyMs: 5, bandwidthBytesPerSecond: 2e6 },
      parameters: {
        ...SMALL_HISTORY.parameters,
        downtimeLimitMs: 5,
        timeoutMs: 1500,
        stallTimeoutMs: 4623,
      },
    },
  ],
];

describe('runHistory() breaks no rule again when', () => {
  test.each(FOUND)('%s', async (_what, options) => {
    const { violations, tail } = await runHistory({ ...SMALL_HISTORY, ...options });
    expect(violations, tail.join('\n')).toEqual([]);
  });
});
