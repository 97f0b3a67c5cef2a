import { describe, expect, test } from 'vitest';
import { PAGE_BYTES, SternaError } from '../../../src/base/index.ts';
import { IncomingRecord } from '../../../src/destination/incoming-record.ts';
import type { ApplyResult } from '../../../src/guestmem/index.ts';

const BATCH: ApplyResult = {
  outcome: 'ok',
  errorPfn: 0,
  newPages: 6,
  duplicatePages: 0,
  zeroPages: 5,
  rawPages: 2,
  xbzrlePages: 1,
  xbzrleBytes: 96,
  lz4Pages: 3,
  lz4Bytes: 1000,
  lz4XbzrlePages: 1,
  lz4XbzrleBytes: 50,
};
const TABLE_BYTES = 8 * 16;

describe('IncomingRecord', () => {
  test('applied() counts pages by kind, repetitions and new pages apart', () => {
    const record = new IncomingRecord(1000);
    record.totalPages = 100;
    record.remainingPages = 28;
    record.applied(BATCH, TABLE_BYTES);
    record.applied({ ...BATCH, newPages: 0 }, TABLE_BYTES);
    expect([record.batches, record.appliedPages, record.receivedPages]).toEqual([2, 24, 6]);
    const info = record.info(2000, 50_000);
    expect(info.pageKinds).toEqual({
      zero: { pages: 10, bytes: 2 * 16 },
      raw: { pages: 4, bytes: 4 * (PAGE_BYTES + 16) },
      xbzrle: { pages: 2, bytes: 2 * (96 + 16) },
      lz4: { pages: 6, bytes: 2 * (1000 + 3 * 16) },
      'lz4-xbzrle': { pages: 2, bytes: 2 * (50 + 16) },
      unchanged: { pages: 0, bytes: 0 },
    });
    expect(info.ram).toMatchObject({
      transferredBytes: 50_000,
      remainingBytes: 4 * PAGE_BYTES,
      totalBytes: 100 * PAGE_BYTES,
      normalPages: 4,
      zeroPages: 10,
      bitsPerSecond: 400_000,
      pagesPerSecond: 24,
    });
  });

  test('remaining never falls below zero when more comes than was announced', () => {
    const record = new IncomingRecord(0);
    record.remainingPages = 3;
    record.applied(BATCH, TABLE_BYTES);
    expect(record.info(1, 0).ram.remainingBytes).toBe(0);
  });

  test('info() has rates even at its first moment', () => {
    const info = new IncomingRecord(1000).info(1000, 0);
    expect(Object.values(info.ram).every((value) => Number.isFinite(value))).toBe(true);
    expect(info).toMatchObject({ side: 'destination', status: 'setup', owner: 'source' });
  });

  test('info() leaves setup out of the rates, and stands still after the end', () => {
    const record = new IncomingRecord(1000);
    record.setupTimeMs = 500;
    record.end(2500);
    record.end(9000);
    const info = record.info(10_000, 1000);
    expect([info.totalTimeMs, info.activeTimeMs, info.ram.bitsPerSecond]).toEqual([
      1500, 1000, 8000,
    ]);
  });

  test('info() tells what came while the guest stood still', () => {
    const record = new IncomingRecord(0);
    expect(record.info(1, 700).ram).toMatchObject({ precopyBytes: 700, downtimeBytes: 0 });
    record.precopyBytes = 700;
    expect(record.info(1, 900).ram).toMatchObject({ precopyBytes: 700, downtimeBytes: 200 });
    record.grantedBytes = 950;
    expect(record.info(1, 2000).ram.downtimeBytes).toBe(250);
  });

  test('info() is plain data, with the error and copies of what still changes', () => {
    const record = new IncomingRecord(0);
    record.error = new SternaError('E_PAGE_HASH', 'Page is damaged', { guestOwner: 'source' });
    record.downtimeParts.load = 1;
    const info = record.info(1, 0);
    record.downtimeParts.load = 2;
    expect(info.downtimeParts).toEqual({ load: 1 });
    expect(info.error).toMatchObject({ code: 'E_PAGE_HASH', guestOwner: 'source' });
    expect(structuredClone(info)).toEqual(info);
  });
});
