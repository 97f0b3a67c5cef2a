import { beforeEach, describe, expect, test } from 'vitest';
import { crc32c, PAGE_BYTES, SternaError } from '../../../src/base/index.ts';
import { PageLoader } from '../../../src/destination/page-loader.ts';
import { GuestMemory } from '../../../src/guestmem/index.ts';
import {
  encodePageBatch,
  encodeVerifyHashes,
  type FrameHeader,
  MESSAGE_TYPES,
  type PageEntry,
} from '../../../src/protocol/index.ts';
import { pageHash } from '../../reference/page-hash.ts';
import { noise } from '../../support/test-block.ts';

const PAGES = 8;
let memory: GuestMemory;
let loader: PageLoader;

beforeEach(() => {
  const bytes = PAGES * PAGE_BYTES;
  memory = GuestMemory.allocate(
    [
      { name: 'a', bytes },
      { name: 'b', bytes },
    ],
    1,
  );
  loader = new PageLoader(memory);
});

/** Puts a body where the loader wants it, as a channel does. */
function receive(
  type: FrameHeader['type'],
  block: number,
  body: Uint8Array,
  change: Partial<FrameHeader> = {},
): FrameHeader {
  const checkedBytes = change.checkedBytes ?? body.length;
  const header: FrameHeader = {
    type,
    optional: false,
    bodyBytes: body.length,
    checkedBytes,
    sequence: 0,
    block,
    checkedCrc: crc32c(body.subarray(body.length - checkedBytes)),
    ...change,
  };
  const place = loader.place(header);
  if (place instanceof SternaError) throw place;
  place.set(body);
  return header;
}

function raw(pfn: number, page: Uint8Array): PageEntry {
  return { kind: 'RAW', pfn, hash: pageHash(page, pfn), payload: page };
}

function batch(
  block: number,
  entries: PageEntry[],
  change: Partial<FrameHeader> = {},
): FrameHeader {
  const { body, checkedBytes } = encodePageBatch(entries);
  return receive(MESSAGE_TYPES.PAGE_BATCH, block, body, { checkedBytes, ...change });
}

function hashes(
  block: number,
  firstPfn: number,
  list: bigint[],
  change: Partial<FrameHeader> = {},
) {
  const body = encodeVerifyHashes({ firstPfn, hashes: list });
  return receive(MESSAGE_TYPES.VERIFY_HASHES, block, body, change);
}

const PAGE = noise(1, PAGE_BYTES);

describe('PageLoader.apply()', () => {
  test('apply() writes the pages into the block that the header names', () => {
    const zeroRun: PageEntry = { kind: 'ZERO_RUN', pfn: 0, pages: 2 };
    const result = loader.apply(batch(1, [zeroRun, raw(3, PAGE)]));
    expect(result).toMatchObject({ outcome: 'ok', newPages: 3, zeroPages: 2, rawPages: 1 });
    expect(memory.blocks[1]!.ram.subarray(3 * PAGE_BYTES, 4 * PAGE_BYTES).equals(PAGE)).toBe(true);
    expect(memory.blocks[0]!.ram.every((byte) => byte === 0)).toBe(true);
  });

  test('place() refuses a block that does not exist', () => {
    expect(() => batch(2, [raw(0, PAGE)])).toThrow(
      expect.objectContaining({ code: 'E_PROTOCOL_BAD_BODY', detail: { block: 2, blocks: 2 } }),
    );
  });

  test.each<[string, () => FrameHeader, string]>([
    ['a page beyond the block', () => batch(0, [raw(PAGES, PAGE)]), 'E_PROTOCOL_BAD_BODY'],
    ['a wrong checksum', () => batch(0, [raw(1, PAGE)], { checkedCrc: 1 }), 'E_PROTOCOL_CHECKSUM'],
    [
      'a delta for a page that never came',
      () => batch(0, [{ kind: 'XBZRLE', pfn: 1, hash: 1n, payload: Uint8Array.of(0, 1, 1) }]),
      'E_PROTOCOL_BAD_BODY',
    ],
    ['a wrong hash', () => batch(0, [{ ...raw(1, PAGE), pfn: 2 }]), 'E_PAGE_HASH'],
  ])('apply() throws for %s', (_, make, code) => {
    const header = make();
    expect(() => loader.apply(header)).toThrow(expect.objectContaining({ code }));
  });

  test('apply() names the page that has a wrong hash', () => {
    const header = batch(1, [raw(1, PAGE), { ...raw(1, PAGE), pfn: 6 }]);
    const detail = { block: 'b', pfn: 6 };
    expect(() => loader.apply(header)).toThrow(expect.objectContaining({ detail }));
  });
});

describe('PageLoader.compare()', () => {
  beforeEach(() => {
    loader.apply(batch(0, [raw(2, PAGE), raw(5, PAGE)]));
  });

  const zeroes = Array.from({ length: PAGES }, () => 0n);
  const right = () => zeroes.with(2, pageHash(PAGE, 2)).with(5, pageHash(PAGE, 5));

  test.each([false, true])('compare() finds equal pages equal (from RAM: %s)', (fromRam) => {
    const result = loader.compare(hashes(0, 0, right()), fromRam, 4);
    expect(result).toEqual({ pages: PAGES, differences: [] });
  });

  test('compare() names the pages that differ, and only so many', () => {
    const wrong = right().map((hash) => hash + 1n);
    const result = loader.compare(hashes(0, 0, wrong), false, 3);
    expect(result).toEqual({ pages: PAGES, differences: ['a:0', 'a:1', 'a:2'] });
  });

  test('compare() begins where the list does', () => {
    const result = loader.compare(hashes(0, 5, [1n, 0n]), false, 3);
    expect(result).toEqual({ pages: 2, differences: ['a:5'] });
  });

  test('compare() sees damage in RAM only when it is asked to read RAM', () => {
    memory.blocks[0]!.ram[2 * PAGE_BYTES]! ^= 1;
    expect(loader.compare(hashes(0, 0, right()), false, 4).differences).toEqual([]);
    expect(loader.compare(hashes(0, 0, right()), true, 4).differences).toEqual(['a:2']);
  });

  test.each<[string, () => FrameHeader, string]>([
    ['pages beyond the block', () => hashes(0, PAGES - 1, [0n, 0n]), 'E_PROTOCOL_BAD_BODY'],
    ['a page number that wraps', () => hashes(0, 2 ** 32 - 1, [0n]), 'E_PROTOCOL_BAD_BODY'],
    ['a wrong checksum', () => hashes(0, 0, [0n], { checkedCrc: 3 }), 'E_PROTOCOL_CHECKSUM'],
    [
      'a count that is not that of the body',
      () => {
        const body = Buffer.from(encodeVerifyHashes({ firstPfn: 0, hashes: [0n, 0n] }));
        body.writeUInt32LE(3, 4);
        return receive(MESSAGE_TYPES.VERIFY_HASHES, 0, body);
      },
      'E_PROTOCOL_BAD_BODY',
    ],
    [
      'no hash at all',
      () => receive(MESSAGE_TYPES.VERIFY_HASHES, 0, new Uint8Array(8)),
      'E_PROTOCOL_BAD_BODY',
    ],
  ])('compare() throws for %s, and compares nothing', (_, make, code) => {
    const header = make();
    expect(() => loader.compare(header, true, 4)).toThrow(expect.objectContaining({ code }));
  });
});
