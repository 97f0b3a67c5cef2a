import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/base/index.ts';
import { HashComparison } from '../../../src/destination/hash-comparison.ts';
import { IncomingRecord } from '../../../src/destination/incoming-record.ts';
import { decodeVerifyResult, type VerifyEndBody } from '../../../src/protocol/index.ts';

/** What the source is told when `compared` of 100 pages were, and all were the same. */
function result(compared: number, end: VerifyEndBody, isStrict = false): string {
  const record = new IncomingRecord(0);
  record.totalPages = 100;
  record.verify = { status: 'running', pages: compared, mismatches: [] };
  const comparison = new HashComparison(record, silentLogger());
  comparison.isStrict = isStrict;
  const decoded = decodeVerifyResult(comparison.end(end));
  if (decoded.kind === 'malformed') throw decoded.error;
  expect(record.verify.status).toBe(decoded.body.status);
  expect(decoded.body.pages).toBe(compared);
  return decoded.body.status;
}

describe('HashComparison', () => {
  test('end() says identical when every page of RAM was compared', () => {
    expect(result(100, { pages: 100 })).toBe('identical');
    expect(result(100, { pages: 100 }, true)).toBe('identical');
  });

  test.each([
    ['fewer than all', 40, { pages: 40 }],
    ['other than announced', 40, { pages: 100 }],
    ['other than announced, of some', 40, { pages: 41, partial: true }],
  ])('end() says mismatch when it were %s', (_, compared, end) => {
    expect(result(compared, end)).toBe('mismatch');
  });

  test('end() takes some pages for enough when the source has no others, but not before GRANT', () => {
    expect(result(40, { pages: 40, partial: true })).toBe('identical');
    expect(result(40, { pages: 40, partial: true }, true)).toBe('mismatch');
  });
});
