import { describe, expect, test } from 'vitest';
import {
  decodePageTable,
  decodeVerifyHashes,
  encodePageBatch,
  PAGE_KINDS,
  type PageEntry,
} from '../../../src/protocol/index.ts';
import { PAGE_ENTRIES } from './message-samples.ts';

describe('decodePageTable()', () => {
  const TABLE_AT = 4104;

  test('encodePageBatch() puts the payloads first, zeros up to 8 bytes, then the table', () => {
    const { body, checkedBytes } = encodePageBatch(PAGE_ENTRIES);
    expect(body.length).toBe(TABLE_AT + 48);
    expect(checkedBytes).toBe(48);
    expect([...body.subarray(4096, 4104)]).toEqual([0x7f, 1, 1, 0, 0, 0, 0, 0]);
    expect(Buffer.from(body.subarray(TABLE_AT, TABLE_AT + 32)).toString('hex')).toBe(
      '00000000010010000000000000000000' + '1000000002000010efcdab8967452301',
    );
  });

  /** Makes the delta, which has three bytes, something else. */
  function relabel(view: DataView, kind: number, length: number): void {
    view.setUint8(TABLE_AT + 32 + 4, kind);
    view.setUint16(TABLE_AT + 32 + 6, length, true);
  }

  test.each<[string, (view: DataView) => void]>([
    ['a reserved byte is set', (view) => view.setUint8(TABLE_AT + 5, 1)],
    ['a zero run has no pages', (view) => view.setUint16(TABLE_AT + 6, 0, true)],
    ['a zero run has a hash', (view) => view.setUint8(TABLE_AT + 8, 1)],
    ['a zero run passes the last number', (view) => view.setUint32(TABLE_AT, 2 ** 32 - 15, true)],
    ['a raw page is short', (view) => view.setUint16(TABLE_AT + 16 + 6, 4095, true)],
    ['a delta has two bytes', (view) => view.setUint16(TABLE_AT + 32 + 6, 2, true)],
    ['a delta has 4096 bytes', (view) => view.setUint16(TABLE_AT + 32 + 6, 4096, true)],
    ['a delta is longer than what is left', (view) => view.setUint16(TABLE_AT + 38, 9, true)],
    ['kind is zero', (view) => view.setUint8(TABLE_AT + 4, 0)],
    ['kind is of the future', (view) => view.setUint8(TABLE_AT + 4, PAGE_KINDS.CONTENT_REFERENCE)],
    ['an LZ4 block has one byte', (view) => relabel(view, PAGE_KINDS.LZ4, 1)],
    ['an LZ4 block has 4096 bytes', (view) => relabel(view, PAGE_KINDS.LZ4, 4096)],
    ['an LZ4 delta has one byte', (view) => relabel(view, PAGE_KINDS.LZ4_XBZRLE, 1)],
    ['a padding byte is set', (view) => view.setUint8(TABLE_AT - 1, 1)],
  ])('decodePageTable() says malformed when %s', (_what, change) => {
    const { body, checkedBytes } = encodePageBatch(PAGE_ENTRIES);
    change(new DataView(body.buffer));
    expect(decodePageTable(body, checkedBytes)).toMatchObject({
      kind: 'malformed',
      error: { code: 'E_PROTOCOL_BAD_BODY' },
    });
  });

  test.each([
    ['empty', 0],
    ['a fraction of an entry', 47],
    ['longer than the body', 2 ** 20],
  ])('decodePageTable() says malformed when the table is %s', (_what, checkedBytes) => {
    const { body } = encodePageBatch(PAGE_ENTRIES);
    expect(decodePageTable(body, checkedBytes).kind).toBe('malformed');
  });

  test('decodePageTable() accepts 256 entries and no more', () => {
    const entries = Array.from(
      { length: 257 },
      (_, index): PageEntry => ({ kind: 'ZERO_RUN', pfn: index * 2, pages: 1 }),
    );
    const fitting = encodePageBatch(entries.slice(1));
    expect(decodePageTable(fitting.body, fitting.checkedBytes).kind).toBe('ok');
    const tooMany = encodePageBatch(entries);
    expect(decodePageTable(tooMany.body, tooMany.checkedBytes).kind).toBe('malformed');
  });
});

describe('decodeVerifyHashes()', () => {
  test.each([
    ['it is shorter than its prefix', [0, 0, 0, 0]],
    ['it has no hash', [0, 0, 0, 0, 0, 0, 0, 0]],
    ['it announces 4 Gi hashes', [0, 0, 0, 0, 255, 255, 255, 255]],
    ['it announces more than it has', [0, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['it passes the last number', [255, 255, 255, 255, 2, 0, 0, 0, ...new Array(16).fill(1)]],
  ])('decodeVerifyHashes() says malformed when %s', (_what, bytes) => {
    expect(decodeVerifyHashes(Uint8Array.from(bytes)).kind).toBe('malformed');
  });
});
