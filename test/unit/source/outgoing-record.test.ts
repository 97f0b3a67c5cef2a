import { describe, expect, test } from 'vitest';
import { type MigrationStatus, PAGE_BYTES, SternaError } from '../../../src/base/index.ts';
import type { GatherResult } from '../../../src/guestmem/index.ts';
import { addFrame, type PassCounters } from '../../../src/source/counters.ts';
import { OutgoingRecord } from '../../../src/source/outgoing-record.ts';

const NOTHING: GatherResult = {
  bodyBytes: 0,
  tableBytes: 0,
  tableCrc: 0,
  zeroPages: 0,
  rawPages: 0,
  xbzrlePages: 0,
  unchangedPages: 0,
  xbzrleBytes: 0,
  hitPages: 0,
  missPages: 0,
  conflictPages: 0,
  overflowPages: 0,
  primedPages: 0,
  lz4Pages: 0,
  lz4Bytes: 0,
};

function newRecord(): OutgoingRecord {
  return new OutgoingRecord({
    migrationId: 'm-1',
    mode: 'precopy',
    epoch: 4,
    totalBytes: 100 * PAGE_BYTES,
    startMs: 1000,
  });
}

function sendRaw({ totals }: PassCounters, pages: number): void {
  const frame = { ...NOTHING, bodyBytes: pages * (PAGE_BYTES + 16), rawPages: pages };
  addFrame(totals, frame, 0);
}

describe('OutgoingRecord', () => {
  test('info() has nothing but the start before anything happened', () => {
    const info = newRecord().info(1000, 0);
    expect(info).toMatchObject({
      side: 'source',
      status: 'setup',
      migrationId: 'm-1',
      epoch: 4,
      owner: 'source',
      totalTimeMs: 0,
      activeTimeMs: 0,
      passes: [],
      verify: { status: 'pending' },
    });
    for (const key of ['error', 'xbzrle', 'downtimeMs', 'guestDowntimeUs'] as const) {
      expect(info[key]).toBeUndefined();
    }
    const numbers = Object.values(info.ram);
    expect(numbers.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  });

  test('info() shows the running pass before it has ended', () => {
    const record = newRecord();
    record.status = 'active';
    record.setupTimeMs = 10;
    const pass = record.beginPass(1, false, 100, 1010);
    sendRaw(pass, 30);
    record.remainingPages -= 30;
    const wireBytes = 32 + 30 * (PAGE_BYTES + 16);
    const info = record.info(1040, 5000 + wireBytes);
    expect(info.ram).toMatchObject({
      transferredBytes: 5000 + wireBytes,
      remainingBytes: 70 * PAGE_BYTES,
      totalBytes: 100 * PAGE_BYTES,
      normalPages: 30,
      bitsPerSecond: (wireBytes * 8 * 1000) / 30,
      pagesPerSecond: 1000,
      precopyBytes: 5000 + wireBytes,
      downtimeBytes: 0,
    });
    expect(info.activeTimeMs).toBe(30);
    expect(info.passes).toEqual([]);
  });

  test('info() sums all passes, ended or not, once', () => {
    const record = newRecord();
    sendRaw(record.beginPass(1, false, 100, 1000), 100);
    record.endPass(1100, { dirtied: 20, written: 20 });
    sendRaw(record.beginPass(2, false, 20, 1100), 5);
    expect(record.info(1110, 1).ram.normalPages).toBe(105);
    record.endPass(1120, { dirtied: 0, written: 0 });
    const info = record.info(1120, 1);
    expect(info.ram.normalPages).toBe(105);
    expect(info.pageKinds.raw).toEqual({ pages: 105, bytes: 105 * (PAGE_BYTES + 16) });
    expect(info.passes.map(({ pass, sentPages }) => [pass, sentPages])).toEqual([
      [1, 100],
      [2, 5],
    ]);
    record.endPass(1130, { dirtied: 0, written: 0 });
    expect(record.info(1130, 1).passes).toHaveLength(2);
  });

  test('info() says what was sent while the guest stood still', () => {
    const record = newRecord();
    record.precopyBytes = 70_000;
    expect(record.info(1001, 90_000).ram).toMatchObject({
      precopyBytes: 70_000,
      downtimeBytes: 20_000,
    });
    record.grantedBytes = 91_000;
    expect(record.info(1002, 99_000).ram.downtimeBytes).toBe(21_000);
  });

  test.each<[MigrationStatus, number]>([
    ['active', 7 * PAGE_BYTES],
    ['device', 7 * PAGE_BYTES],
    ['failed', 7 * PAGE_BYTES],
    ['cancelled', 7 * PAGE_BYTES],
    ['completed', 0],
  ])('info() in status %s has %i bytes remaining', (status, remainingBytes) => {
    const record = newRecord();
    record.status = status;
    record.remainingPages = 7;
    expect(record.info(1001, 0).ram.remainingBytes).toBe(remainingBytes);
  });

  test('info() stands still after the end', () => {
    const record = newRecord();
    record.setupTimeMs = 20;
    record.downtimeMs = 30;
    record.end(1300);
    record.end(1400);
    expect(record.info(9000, 0)).toMatchObject({ totalTimeMs: 300, activeTimeMs: 250 });
  });

  test('info() has the error as data, and copies of what still changes', () => {
    const record = newRecord();
    record.error = new SternaError('E_CANCELLED', 'Migration was cancelled', {
      guestOwner: 'source',
      phase: 'active',
    });
    record.downtimeParts.pause = 1;
    const info = record.info(1001, 0);
    record.downtimeParts.pause = 2;
    expect(info.downtimeParts).toEqual({ pause: 1 });
    expect(info.error).toMatchObject({ code: 'E_CANCELLED', guestOwner: 'source' });
    expect(structuredClone(info)).toEqual(info);
  });

  test('info() has the XBZRLE counters when there is a cache', () => {
    const record = newRecord();
    record.cacheShape = () => ({ cacheBytes: 64 * PAGE_BYTES, ways: 2, ghosts: [] });
    const pass = record.beginPass(2, false, 10, 1000);
    const frame = { ...NOTHING, bodyBytes: 400, xbzrlePages: 3, xbzrleBytes: 250, hitPages: 3 };
    addFrame(pass.totals, { ...frame, missPages: 1, rawPages: 1 }, 0);
    expect(record.info(1001, 0).xbzrle).toMatchObject({ hitPages: 3, missRate: 0.25 });
    record.endPass(1010, { dirtied: 0, written: 0 });
    expect(record.info(1011, 0).xbzrle).toMatchObject({ hitPages: 3, missRate: 0.25 });
    expect(record.info(1011, 0).pageKinds.xbzrle).toEqual({ pages: 3, bytes: 250 + 48 });
  });

  test('passes of a migration that never ends are the newest thousand', () => {
    const record = newRecord();
    for (let pass = 1; pass <= 1005; pass += 1) {
      record.beginPass(pass, false, 1, pass);
      record.endPass(pass + 1, { dirtied: 1, written: 1 });
    }
    const { passes } = record.info(2000, 0);
    expect([passes.length, passes[0]!.pass, passes.at(-1)!.pass]).toEqual([1000, 6, 1005]);
  });
});
