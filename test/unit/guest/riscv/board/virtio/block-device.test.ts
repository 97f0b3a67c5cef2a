import { beforeEach, describe, expect, test } from 'vitest';
import { BoardBench, MemoryDrive } from '../../../../../support/riscv-board.ts';
import { BUFFERS, NEXT, VirtioDriver, WRITE } from '../../../../../support/virtio-driver.ts';

const HEADER = BUFFERS;
const STATUS = BUFFERS + 0x100;
const DATA = BUFFERS + 0x1000;
const IN = 0;
const OUT = 1;
const FLUSH = 4;
const GET_ID = 8;
const UNTOUCHED = 0xaa;

describe('BlockDevice', () => {
  let drive: MemoryDrive;
  let bench: BoardBench;
  let driver: VirtioDriver;

  const start = (isReadOnly = false) => {
    drive = new MemoryDrive(64 * 512, isReadOnly);
    for (const index of drive.bytes.keys()) drive.bytes[index] = (index * 7) >> 3;
    const slot = { kind: 'blk', capacityBytes: 64 * 512, isReadOnly, serial: 'disk-1' } as const;
    bench = new BoardBench({ slots: [slot] }, new Map([[0, drive]]));
    driver = new VirtioDriver(bench).start();
  };
  beforeEach(() => start());

  const ram = (gpa: number, length: number) =>
    bench.ram.bytes.subarray(gpa - 0x8000_0000, gpa - 0x8000_0000 + length);
  const writeHeader = (type: number, sector: bigint) => {
    const { view } = bench.ram;
    view.setUint32(HEADER - 0x8000_0000, type, true);
    view.setBigUint64(HEADER - 0x8000_0000 + 8, sector, true);
    ram(STATUS, 1).fill(UNTOUCHED);
  };
  /** Returns the status. */
  const request = (type: number, sector: number | bigint, length: number) => {
    writeHeader(type, BigInt(sector));
    const flags = type === OUT ? 0 : WRITE;
    driver.setChain(0, [
      { gpa: HEADER, length: 16 },
      ...(length > 0 ? [{ gpa: DATA, length, flags }] : []),
      { gpa: STATUS, length: 1, flags: WRITE },
    ]);
    driver.offer(0);
    bench.pollThrough();
    return ram(STATUS, 1)[0];
  };

  test('tells its size, limits and access', () => {
    expect(driver.read(8)).toBe(2);
    expect([0x100, 0x104, 0x108, 0x10c, 0x114].map((offset) => driver.read(offset))).toEqual([
      64, 0, 65_536, 126, 512,
    ]);
    expect(bench.board.mmioRead(0x1000_1108, 1)).toBe(0);
    expect(bench.board.mmioRead(0x1000_110a, 2)).toBe(1);
    driver.write(0x14, 0);
    expect(driver.read(0x10)).toBe(0x246);
    start(true);
    driver.write(0x14, 0);
    expect(driver.read(0x10)).toBe(0x266);
  });

  test('reads sectors', () => {
    expect(request(IN, 3, 1024)).toBe(0);
    expect(ram(DATA, 1024)).toEqual(drive.bytes.subarray(3 * 512, 5 * 512));
    expect(driver.used(0)).toEqual([0, 1025]);
    expect(request(IN, 63, 512)).toBe(0);
  });

  test('writes sectors', () => {
    ram(DATA, 512).fill(0x5a);
    expect(request(OUT, 63, 512)).toBe(0);
    expect(drive.bytes.subarray(63 * 512)).toEqual(new Uint8Array(512).fill(0x5a));
    expect(driver.used(0)).toEqual([0, 1]);
  });

  test('a request may be cut anywhere', () => {
    writeHeader(IN, 1n);
    driver.setChain(0, [
      { gpa: HEADER, length: 3 },
      { gpa: HEADER + 3, length: 13 },
      { gpa: DATA, length: 100, flags: WRITE },
      { gpa: DATA + 4096, length: 413, flags: WRITE },
    ]);
    driver.offer(0);
    bench.board.poll();
    expect(ram(DATA, 100)).toEqual(drive.bytes.subarray(512, 612));
    expect(ram(DATA + 4096, 412)).toEqual(drive.bytes.subarray(612, 1024));
    expect(ram(DATA + 4096 + 412, 1)[0]).toBe(0);

    writeHeader(OUT, 2n);
    ram(HEADER + 16, 12).fill(1);
    ram(DATA, 500).fill(2);
    driver.setChain(0, [
      { gpa: HEADER, length: 28 },
      { gpa: DATA, length: 500 },
      { gpa: STATUS, length: 1, flags: WRITE },
    ]);
    driver.offer(0);
    bench.board.poll();
    expect([...drive.bytes.subarray(1024, 1536)]).toEqual([
      ...Array(12).fill(1),
      ...Array(500).fill(2),
    ]);
  });

  test('a request in many pieces is whole', () => {
    const big = 200 * 1024;
    drive = new MemoryDrive(big);
    for (const index of drive.bytes.keys()) drive.bytes[index] = index % 251;
    const slot = { kind: 'blk', capacityBytes: big, isReadOnly: false, serial: '' } as const;
    bench = new BoardBench({ slots: [slot] }, new Map([[0, drive]]));
    driver = new VirtioDriver(bench).start();
    expect(request(IN, 0, big)).toBe(0);
    expect(Buffer.compare(ram(DATA, big), drive.bytes)).toBe(0);
    expect(drive.reads).toBe(4);
    ram(DATA, big).reverse();
    expect(request(OUT, 0, big)).toBe(0);
    expect(Buffer.compare(ram(DATA, big), drive.bytes)).toBe(0);
  });

  test('flushes, also a drive that cannot be written', () => {
    expect(request(FLUSH, 0, 0)).toBe(0);
    expect(drive.flushes).toBe(1);
    start(true);
    expect(request(FLUSH, 0, 0)).toBe(0);
  });

  test('tells its serial number', () => {
    expect(request(GET_ID, 0, 20)).toBe(0);
    expect(Buffer.from(ram(DATA, 20)).toString()).toBe('disk-1'.padEnd(20, '\0'));
    ram(DATA, 20).fill(UNTOUCHED);
    expect(request(GET_ID, 0, 4)).toBe(0);
    expect([...ram(DATA, 5)]).toEqual([...Buffer.from('disk'), UNTOUCHED]);
  });

  test.each([
    ['behind the end', IN, 64n, 512],
    ['across the end', IN, 63n, 1024],
    ['far behind the end', IN, 0xffff_ffff_ffff_ffffn, 512],
    ['that is no whole sector', IN, 0n, 100],
    ['behind the end', OUT, 64n, 512],
    ['far behind the end', OUT, 0x80_0000_0000_0000n, 512],
    ['that is no whole sector', OUT, 0n, 511],
  ])('a request %s fails (%i, %i, %i)', (_, type, sector, length) => {
    expect(request(type, sector, length)).toBe(1);
    expect([drive.reads, drive.writes]).toEqual([0, 0]);
    expect(driver.needsReset).toBe(false);
  });

  test('nothing writes a drive that is read-only', () => {
    start(true);
    expect(request(OUT, 0, 512)).toBe(1);
    expect(drive.writes).toBe(0);
  });

  test('an unknown request is unsupported', () => {
    expect(request(11, 0, 512)).toBe(2);
    expect(request(0xffff_ffff, 0, 0)).toBe(2);
  });

  test('a host that fails is an I/O error', () => {
    drive.isBroken = true;
    expect([request(IN, 0, 512), request(OUT, 0, 512), request(FLUSH, 0, 0)]).toEqual([1, 1, 1]);
  });

  test.each([
    [
      'a header',
      [
        { gpa: HEADER, length: 15 },
        { gpa: STATUS, length: 1, flags: WRITE },
      ],
    ],
    ['a status', [{ gpa: HEADER, length: 16 }]],
    [
      'order',
      [
        { gpa: HEADER, length: 16 },
        { gpa: STATUS, length: 1, flags: WRITE },
        { gpa: DATA, length: 512 },
      ],
    ],
  ])('a request without %s makes the device ask for a reset', (_, chain) => {
    writeHeader(IN, 0n);
    driver.setChain(0, chain);
    driver.offer(0);
    bench.board.poll();
    expect(driver.needsReset).toBe(true);
  });

  test('a request that is longer than was agreed fails, and none is read', () => {
    const huge = { kind: 'blk', capacityBytes: 2 ** 30, isReadOnly: true, serial: '' } as const;
    bench = new BoardBench({ slots: [huge], ramBytes: 16 * 2 ** 20 });
    driver = new VirtioDriver(bench).start();
    expect(request(IN, 0, 9 * 2 ** 20)).toBe(1);
    expect(bench.ram.ensured.size).toBeLessThan(5);
  });

  test('every page that is missing is waited for before the disk is touched', () => {
    ram(DATA, 512).fill(9);
    for (const page of [1, 2, 3, 4, 5]) bench.ram.missing.add(page);
    expect(request(OUT, 5, 512)).toBe(0);
    expect(drive.writes).toBe(1);
    for (const page of [4, 5]) bench.ram.missing.add(page);
    expect(request(IN, 5, 512)).toBe(0);
    expect(drive.reads).toBe(1);
    expect(driver.usedIndex).toBe(2);
  });

  test('a flood is served a megabyte at a time', () => {
    const megabyte = { kind: 'blk', capacityBytes: 2 ** 20, isReadOnly: true, serial: '' } as const;
    drive = new MemoryDrive(2 ** 20, true);
    bench = new BoardBench({ slots: [megabyte], ramBytes: 2 ** 22 }, new Map([[0, drive]]));
    driver = new VirtioDriver(bench).start();
    writeHeader(IN, 0n);
    driver.setChain(0, [
      { gpa: HEADER, length: 16 },
      { gpa: DATA, length: 2 ** 19, flags: WRITE },
      { gpa: STATUS, length: 1, flags: WRITE },
    ]);
    for (let count = 0; count < 5; count += 1) driver.offer(0);
    const served = [1, 2, 3, 4].map(() => {
      bench.board.poll();
      return [driver.usedIndex, bench.board.hasPendingWork];
    });
    expect(served).toEqual([
      [2, true],
      [4, true],
      [5, false],
      [5, false],
    ]);
  });

  test('many requests are served in one poll, in order', () => {
    for (const index of [0, 1]) {
      bench.ram.view.setUint32(HEADER + 32 * index - 0x8000_0000, IN, true);
      bench.ram.view.setBigUint64(HEADER + 32 * index - 0x8000_0000 + 8, BigInt(index), true);
      driver.setChain(index * 3, [
        { gpa: HEADER + 32 * index, length: 16, flags: NEXT },
        { gpa: DATA + 512 * index, length: 512, flags: WRITE },
        { gpa: STATUS + index, length: 1, flags: WRITE },
      ]);
      driver.offer(index * 3);
    }
    bench.board.poll();
    expect([driver.used(0), driver.used(1)]).toEqual([
      [0, 513],
      [3, 513],
    ]);
    expect(ram(DATA, 1024)).toEqual(drive.bytes.subarray(0, 1024));
  });
});
