import {
  copyFileSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crc32c, PAGE_BYTES } from '../../../../src/base/index.ts';
import { type OpenHalfFile, openHalfFile } from '../../../../src/control/half-image/half-file.ts';
import { decodeHalfHead, encodeHalfHead } from '../../../../src/control/half-image/half-head.ts';
import { HalfImage } from '../../../../src/control/half-image/half-image.ts';
import { halfLayout } from '../../../../src/control/half-image/half-layout.ts';
import { type Half, writeHalf } from '../../../../src/control/half-image/half-writer.ts';
import { GuestMemory } from '../../../../src/guestmem/index.ts';
import { FAKE_BLOCKS, FAKE_DESCRIPTION } from '../../../support/fake-machine.ts';
import { HALF_SECRET, halfGuest } from '../../../support/half-guest.ts';

/** Neighbours, a page alone, the last page of a block, and pages of zeros. */
const PAGES = [[0, 1, 2, 70, 199, 500, 999], [3, 4, 150], []];
/** Their layout: with a machine state, so that every region is there. */
const guest = halfGuest();
const half = guest.half('destination', PAGES);

let directory: string;
let path: string;
let written = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sterna-half-'));
  path = join(directory, 'whole.half');
  written = await writeHalf(path, half);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

const layout = halfLayout({ machine: FAKE_DESCRIPTION, stateBytes: half.state.length });

/** A copy of the file with something done to it. */
function spoilt(spoil: (bytes: Buffer) => void): string {
  const copy = join(directory, 'spoilt.half');
  const bytes = readFileSync(path);
  spoil(bytes);
  writeFileSync(copy, bytes);
  return copy;
}

async function openAndLoad(file: string): Promise<number> {
  const image = await HalfImage.open(file);
  try {
    return await image.load(GuestMemory.allocate(FAKE_BLOCKS, 2));
  } finally {
    await image.close();
  }
}

describe('HalfImage', () => {
  test('load() brings back exactly the pages that writeHalf() wrote', async () => {
    const image = await HalfImage.open(path);
    const memory = GuestMemory.allocate(FAKE_BLOCKS, 2);
    expect(await image.load(memory)).toBe(10);
    expect(image).toMatchObject({ pages: 10, head: { ...half.head, machine: FAKE_DESCRIPTION } });
    expect(image.bitmaps.map((bitmap) => Buffer.from(bitmap))).toEqual(
      half.bitmaps.map((bitmap) => Buffer.from(bitmap)),
    );
    expect(image.state?.sections).toEqual([
      { name: 'vcpus', version: 1, bytes: Uint8Array.from([1, 2, 3]) },
    ]);
    for (const [index, block] of memory.blocks.entries()) {
      for (let pfn = 0; pfn < block.layout.pageCount; pfn += 1) {
        const page = (ram: Buffer) => ram.subarray(pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
        const original = page(guest.machine.block(index).ram);
        const expected = PAGES[index]?.includes(pfn) ? original : Buffer.alloc(PAGE_BYTES);
        expect(page(block.ram).equals(expected)).toBe(true);
      }
    }
    await image.close();
  });

  test('load() leaves out pages that another half has', async () => {
    const image = await HalfImage.open(path);
    const memory = GuestMemory.allocate(FAKE_BLOCKS, 2);
    const { bitmaps } = guest.half('source', [[0, 1, 70], [150]]);
    expect(await image.load(memory, bitmaps)).toBe(6);
    expect(memory.blocks[0]?.ram.readUInt32LE(0)).toBe(0);
    await image.close();
  });

  test('writeHalf() leaves out what is another page by the time at which it would be written', async () => {
    const changing = halfGuest();
    const wanted = [Array.from({ length: 150 }, (_, pfn) => pfn), [3, 4, 150], []];
    const before = Buffer.from(changing.machine.block(0).ram);
    const replaced = new Set<number>();
    const replace = (pfn: number) => {
      replaced.add(pfn);
      changing.machine.block(0).ram.fill(1, pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
    };
    const leavesOut: Half['leavesOut'] = ({ layout }, pfn) =>
      layout.index === 0 && replaced.has(pfn);
    const file = join(directory, 'changing.half');
    const openFile: OpenHalfFile = async (...args) => {
      const opened = await openHalfFile(...args);
      const write = opened.write.bind(opened);
      // While the first piece is on its way: a page of it, and one of the next piece.
      opened.write = (...piece) => {
        if (piece[3] > 0 && replaced.size === 0) for (const pfn of [10, 70]) replace(pfn);
        return write(...piece);
      };
      return opened;
    };
    await writeHalf(file, { ...changing.half('source', wanted), leavesOut }, { openFile });
    const image = await HalfImage.open(file);
    const memory = GuestMemory.allocate(FAKE_BLOCKS, 2);
    expect(await image.load(memory)).toBe(152);
    await image.close();
    const page = (ram: Buffer, pfn: number) =>
      ram.subarray(pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
    for (const pfn of wanted[0] ?? []) {
      const expected = pfn === 70 ? Buffer.alloc(PAGE_BYTES) : page(before, pfn);
      expect(page(memory.blocks[0]?.ram ?? before, pfn).equals(expected), `page ${pfn}`).toBe(true);
    }
  });

  test('writeHalf() leaves one file, for this user only, with holes for what is not there', () => {
    expect(readdirSync(directory).filter((name) => name.startsWith('whole'))).toEqual([
      'whole.half',
    ]);
    const { mode, size, blocks } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    expect(size).toBe(layout.fileBytes);
    expect(written).toBeLessThan(2 ** 18);
    expect(blocks * 512).toBeLessThan(2 ** 19);
  });

  test('the secret and the address are in a source half only', () => {
    const head = { ...guest.half('source', []).head, stateBytes: 0 };
    expect(decodeHalfHead(encodeHalfHead(head))).toEqual(head);
    expect(head.secret).toBe(HALF_SECRET);
    expect(readFileSync(path).includes(HALF_SECRET)).toBe(false);
    const { secret: _, ...without } = head;
    expect(() => decodeHalfHead(encodeHalfHead(without))).toThrow(/damaged/);
  });

  const low = layout.blocks[0] ?? { bitmapAt: 0, hashesAt: 0, pagesAt: 0 };
  test.each([
    ['magic', 0, /not a half image/],
    ['version', 4, /another version/],
    ['side', 5, /damaged/],
    ['reserved of the prefix', 7, /damaged/],
    ['length of the HELLO', 9, /damaged/],
    ['time', 27, /damaged/],
    ['checksum of the head', 61, /damaged/],
    ['machine description', 120, /damaged/],
    ['end of the head', 32_767, /damaged/],
    ['bitmap', low.bitmapAt + 3, /damaged/],
    ['hashes', low.hashesAt + 8, /damaged/],
    ['page', low.pagesAt + 2 * PAGE_BYTES + 17, /Page of the half image is damaged/],
    ['machine state', layout.stateAt + 5, /damaged/],
    ['magic of the seal', layout.sealAt, /not complete/],
    ['seal', layout.sealAt + 9, /damaged/],
    ['reserved of the seal', layout.sealAt + 100, /damaged/],
  ])('open() and load() refuse a file with a bit changed in: %s', async (_, at, message) => {
    const file = spoilt((bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at));
    const refused = openAndLoad(file);
    await expect(refused).rejects.toMatchObject({ code: 'E_HALF_IMAGE' });
    await expect(refused).rejects.toThrow(message);
  });

  test('load() refuses a page that the disk has lost', async () => {
    const start = low.pagesAt;
    const file = spoilt((bytes) => bytes.fill(0, start, start + PAGE_BYTES));
    await expect(openAndLoad(file)).rejects.toMatchObject({ detail: { page: 'low:0' } });
  });

  test('open() refuses a file that ends at any place before its end, and one that goes on', async () => {
    const cuts = [
      ...[0, 63, 64, 32_768, low.hashesAt, low.pagesAt, layout.stateAt, layout.sealAt],
      ...[layout.sealAt + 1, layout.fileBytes - 1, layout.fileBytes + 1],
    ];
    for (const bytes of cuts) {
      const file = join(directory, 'cut.half');
      copyFileSync(path, file);
      truncateSync(file, bytes);
      await expect(HalfImage.open(file), String(bytes)).rejects.toMatchObject({
        code: 'E_HALF_IMAGE',
      });
    }
  });

  test('open() allocates nothing for a small file that announces 16 GiB', async () => {
    const ramBlocks = Array.from({ length: 8 }, (_, index) => ({
      name: `ram${index}`,
      bytes: 2 ** 31,
    }));
    const machine = { ...FAKE_DESCRIPTION, ramBlocks };
    const file = join(directory, 'hostile.half');
    writeFileSync(file, encodeHalfHead({ ...half.head, machine, stateBytes: 2 ** 20 }));
    await expect(HalfImage.open(file)).rejects.toThrow('Half image is not complete');
  });

  test.each([
    ['HELLO', 8],
    ['peer', 12],
    ['machine state', 16],
  ])(
    'open() refuses a length of %s beyond its cap, though the checksum is right',
    async (_, at) => {
      const file = spoilt((bytes) => {
        bytes.writeUInt32LE(0xffff_fff0, at);
        bytes.writeUInt32LE(0, 60);
        bytes.writeUInt32LE(crc32c(bytes.subarray(0, 32_768)), 60);
      });
      await expect(HalfImage.open(file)).rejects.toMatchObject({ detail: { part: 'length' } });
    },
  );

  test('open() refuses the seal of another file', async () => {
    const other = join(directory, 'other.half');
    await writeHalf(other, { ...half, head: { ...half.head, epoch: 3 } });
    const seal = readFileSync(other).subarray(layout.sealAt);
    const file = spoilt((bytes) => seal.copy(bytes, layout.sealAt));
    await expect(HalfImage.open(file)).rejects.toMatchObject({ detail: { part: 'seal' } });
  });
});

describe('writeHalf()', () => {
  test.each([
    ['is full after some pieces', 9, 'write'],
    ['refuses to sync', 0, 'datasync'],
  ] as const)('leaves nothing when the disk %s', async (_, pieces, failing) => {
    const file = join(directory, 'full.half');
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    let writes = 0;
    const openFile = async (name: string) => {
      const handle = await open(name, 'wx', 0o600);
      return {
        read: handle.read.bind(handle),
        stat: () => handle.stat(),
        close: () => handle.close(),
        datasync: () => (failing === 'datasync' ? Promise.reject(full) : handle.datasync()),
        write: (bytes: Uint8Array, offset: number, length: number, position: number) => {
          writes += 1;
          if (failing === 'write' && writes > pieces) return Promise.reject(full);
          // A disk may take less than it was given.
          return handle.write(bytes, offset, Math.ceil(length / 2), position);
        },
      };
    };
    await expect(writeHalf(file, half, { openFile })).rejects.toMatchObject({
      code: 'E_FILE',
      detail: { systemCode: 'ENOSPC' },
    });
    expect(readdirSync(directory).filter((name) => name.startsWith('full'))).toEqual([]);
  });

  test('gives up when it is told that it is not needed any more', async () => {
    const file = join(directory, 'given-up.half');
    let pieces = 0;
    const wrote = () => {
      pieces += 1;
    };
    const options = { wrote, isCancelled: () => pieces >= 3 };
    await expect(writeHalf(file, half, options)).rejects.toMatchObject({ code: 'E_FILE' });
    expect(pieces).toBe(3);
    expect(readdirSync(directory).filter((name) => name.startsWith('given-up'))).toEqual([]);
  });

  test('does not write over a file that lies there', async () => {
    const file = join(directory, 'there.half');
    writeFileSync(`${file}.partial`, 'mine');
    await expect(writeHalf(file, half)).rejects.toMatchObject({ detail: { systemCode: 'EEXIST' } });
    expect(readFileSync(`${file}.partial`, 'utf8')).toBe('mine');
  });
});
