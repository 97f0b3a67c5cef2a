import { describe, expect, it } from 'vitest';
import { figuresOf } from '../../../../src/experiments/evaluation/index.ts';

const pass = { 'duration-ms': 5, 'dirty-pages': 2, 'sent-bytes': 8300, stopped: false };

describe('figures of a migration', () => {
  it('are read from the last replies of both sides', () => {
    const source = {
      status: 'completed',
      'total-time': 900,
      downtime: 12,
      ram: { transferred: 5000 },
      'xbzrle-cache': { bytes: 4096, pages: 30, 'cache-miss': 10 },
      'x-sterna': {
        'downtime-ms': 12.5,
        'guest-downtime-us': 14_000,
        verify: { status: 'identical' },
        passes: [pass, { ...pass, 'duration-ms': null, stopped: true }],
      },
    };
    const destination = {
      status: 'completed',
      'x-sterna': { postcopy: { requests: 7, missing: 50, 'blocktime-ms': 3 } },
    };
    const passFigures = { remainingBytes: 8192, sentBytes: 8300, durationMs: 5, stopped: false };
    expect(figuresOf(source, destination)).toEqual({
      status: 'completed',
      verify: 'identical',
      totalMs: 900,
      downtimeMs: 14,
      sourceDowntimeMs: 12.5,
      guestDowntimeMs: 14,
      sentBytes: 5000,
      passes: [passFigures, { ...passFigures, durationMs: 0, stopped: true }],
      hitRate: 0.75,
      deltaRatio: 30,
      faults: 7,
      blockedMs: 3,
      missingPages: 50,
    });
  });

  it('the larger downtime counts, also when the guest noticed less', () => {
    const reply = {
      status: 'completed',
      'x-sterna': { 'downtime-ms': 20, 'guest-downtime-us': 9_000 },
    };
    expect(figuresOf(reply, { status: 'completed' }).downtimeMs).toBe(20);
  });

  it('what a migration does not have is absent', () => {
    const figures = figuresOf({ status: 'cancelled' }, { status: 'failed' });
    expect(figures).toEqual({
      status: 'cancelled',
      verify: 'unknown',
      totalMs: 0,
      sentBytes: 0,
      passes: [],
    });
    const idle = { bytes: 0, pages: 0, 'cache-miss': 0 };
    const unused = figuresOf(
      { status: 'completed', 'xbzrle-cache': idle },
      { status: 'completed' },
    );
    expect(unused).not.toHaveProperty('hitRate');
    expect(unused).not.toHaveProperty('deltaRatio');
  });
});
