import { describe, expect, test } from 'vitest';
import { errorReport, SternaError } from '../../../src/base/index.ts';
import { Estimator } from '../../../src/cli/migration/estimate.ts';
import { hasEnded, readMigration } from '../../../src/cli/migration/migration-view.ts';
import { outcomeOf } from '../../../src/cli/migration/outcome.ts';
import { activeReply, completedReply, sternaFields } from '../../support/query-migrate-reply.ts';

test('readMigration() reads every field of a completed migration', () => {
  const view = readMigration(completedReply());
  expect(view).toMatchObject({
    status: 'completed',
    owner: 'destination',
    downtimeMs: 8.25,
    guestDowntimeUs: 6_100,
    verify: { status: 'identical', pages: 65_536 },
    xbzrle: { cacheBytes: 2 ** 26, missPages: 3, overflowPages: 1 },
    ram: { zeroPages: 16_384, bitsPerSecond: 1e9 },
  });
  expect([...view.downtimeParts]).toEqual([
    ['pause', 0.25],
    ['last-pages', 6],
    ['handshake', 2],
  ]);
  expect(view.passes.map(({ stopped }) => stopped)).toEqual([false, true]);
});

test.each([undefined, null, [], 'text', {}, { ram: 7, 'x-sterna': [], status: 1 }])(
  'readMigration() says none when the reply is %j',
  (reply) => {
    expect(readMigration(reply)).toMatchObject({
      status: 'none',
      ram: { totalBytes: 0 },
      passes: [],
    });
  },
);

test('hasEnded() waits for the comparison of the RAM', () => {
  const withVerify = (status: string) =>
    readMigration(completedReply({ 'x-sterna': sternaFields({ verify: { status, pages: 1 } }) }));
  expect(hasEnded(withVerify('running'))).toBe(false);
  expect(hasEnded(withVerify('pending'))).toBe(false);
  expect(hasEnded(withVerify('identical'))).toBe(true);
  expect(hasEnded(withVerify('mismatch'))).toBe(true);
  expect(hasEnded(withVerify('skipped'))).toBe(true);
  expect(hasEnded(readMigration(activeReply()))).toBe(false);
  expect(hasEnded(readMigration(activeReply({ status: 'failed' })))).toBe(true);
});

describe('outcomeOf()', () => {
  const failed = (code: ConstructorParameters<typeof SternaError>[0], owner: string) =>
    readMigration(
      activeReply({
        status: 'failed',
        'x-sterna': sternaFields({ owner, error: errorReport(new SternaError(code, 'It broke')) }),
      }),
    );

  test('is 0 and silent when the RAM is identical', () => {
    expect(outcomeOf(readMigration(completedReply()))).toEqual({ exitCode: 0, lines: [] });
  });

  test('is 1 and says that the guest is at the source when the link broke before GRANT', () => {
    const { exitCode, lines } = outcomeOf(failed('E_CHANNEL_RESET', 'source'));
    expect(exitCode).toBe(1);
    expect(lines).toEqual([
      'sterna: It broke [E_CHANNEL_RESET]',
      '  the guest is at the source',
      '  next: Check the network and the peer, and that both or neither use TLS; then migrate again.',
    ]);
  });

  test('is 4 when nobody knows the owner', () => {
    expect(outcomeOf(failed('E_OWNERSHIP_UNKNOWN', 'unknown')).exitCode).toBe(4);
    expect(outcomeOf(failed('E_CHANNEL_RESET', 'unknown')).exitCode).toBe(4);
  });

  test('is 3 when the RAM differs, also after completion', () => {
    const verify = { status: 'mismatch', pages: 9, mismatches: ['ram0:17'] };
    const view = readMigration(
      completedReply({ 'x-sterna': sternaFields({ verify, owner: 'destination' }) }),
    );
    const { exitCode, lines } = outcomeOf(view);
    expect(exitCode).toBe(3);
    expect(lines.join('\n')).toContain('first: ram0:17');
  });

  test('is 130 when it was cancelled, 1 when its time was over', () => {
    expect(outcomeOf(readMigration(activeReply({ status: 'cancelled' }))).exitCode).toBe(130);
    expect(outcomeOf(failed('E_CANCELLED', 'source')).exitCode).toBe(130);
    expect(outcomeOf(failed('E_PRECOPY_TIMEOUT', 'source')).exitCode).toBe(1);
  });
});

describe('Estimator', () => {
  const reply = (remaining: number, sync: number, rates: Record<string, number> = {}) => {
    const base = activeReply();
    const ram = { ...(base.ram as object), remaining, 'dirty-sync-count': sync, ...rates };
    return readMigration({ ...base, ram });
  };

  test('measures a pass by what remained when it was first seen, the first by the whole RAM', () => {
    const estimator = new Estimator();
    expect(estimator.update(reply(192 * 2 ** 20, 1)).passDone).toBeCloseTo(0.25);
    expect(estimator.update(reply(40 * 2 ** 20, 2)).passDone).toBe(0);
    expect(estimator.update(reply(10 * 2 ** 20, 2)).passDone).toBeCloseTo(0.75);
    // More became known to be dirty within the pass: the bar goes back, never below zero.
    expect(estimator.update(reply(60 * 2 ** 20, 2)).passDone).toBe(0);
  });

  test('has an ETA only while pages leave faster than they are dirtied', () => {
    const estimator = new Estimator();
    const rates = { 'pages-per-second': 3_000, 'dirty-pages-rate': 1_000 };
    expect(estimator.update(reply(2_000 * 4096, 2, rates)).etaMs).toBeCloseTo(1_000);
    expect(
      estimator.update(reply(2_000 * 4096, 2, { ...rates, 'dirty-pages-rate': 3_000 })).etaMs,
    ).toBe(undefined);
    expect(estimator.update(reply(2_000 * 4096, 2, { 'pages-per-second': 0 })).etaMs).toBe(
      undefined,
    );
  });
});
