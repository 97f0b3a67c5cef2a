import { describe, expect, test } from 'vitest';
import {
  type BoardConfig,
  planBoot,
  RAM_BASE,
} from '../../../../../../src/guest/riscv/board/index.ts';
import { cells, nodeAt, readTree } from '../../../../../reference/device-tree.ts';
import { elfFile, linuxImage } from '../../../../../support/guest-images.ts';

const MIB = 2 ** 20;
const board = (ramBytes = 64 * MIB): BoardConfig => ({ hartCount: 1, ramBytes, slots: [] });

function plan(
  kernel: Uint8Array,
  { initrd, config = board() }: { initrd?: Uint8Array; config?: BoardConfig } = {},
) {
  return planBoot(config, {
    kernel: { file: 'kernel', bytes: kernel },
    ...(initrd === undefined ? {} : { initrd: { file: 'initrd', bytes: initrd } }),
    bootArguments: 'console=ttyS0',
    randomSeed: new Uint8Array(64),
  });
}

const refused = (message: RegExp, remedy: RegExp) =>
  expect.objectContaining({
    code: 'E_GUEST_IMAGE',
    message: expect.stringMatching(message),
    detail: expect.objectContaining({ remedy: expect.stringMatching(remedy) }),
  });

describe('planBoot() of a Linux Image', () => {
  test('puts the kernel where it wants to be, and the rest at the end of RAM', () => {
    const initrd = Buffer.alloc(5 * MIB + 1, 7);
    const { pieces, pc, hart, deviceTreeGpa, mode, hasSbi } = plan(linuxImage(), { initrd });
    expect({ pc, hart, mode, hasSbi }).toEqual({
      pc: RAM_BASE + 2 * MIB,
      hart: 0,
      mode: 'supervisor',
      hasSbi: true,
    });
    const [kernel, placed, tree] = pieces;
    expect(kernel).toEqual({ gpa: pc, bytes: linuxImage() });
    expect(placed?.bytes).toBe(initrd);
    expect(tree?.gpa).toBe(deviceTreeGpa);
    expect([(placed?.gpa ?? 1) % 4096, deviceTreeGpa % 4096]).toEqual([0, 0]);
    const ramEnd = RAM_BASE + 64 * MIB;
    expect(deviceTreeGpa + (tree?.bytes.length ?? 0)).toBeLessThanOrEqual(ramEnd);
    expect(deviceTreeGpa).toBeGreaterThan(ramEnd - MIB);
    expect((placed?.gpa ?? 0) + initrd.length).toBeLessThanOrEqual(deviceTreeGpa);
    const chosen = nodeAt(readTree(tree?.bytes ?? new Uint8Array()), '/chosen');
    expect(cells(chosen, 'linux,initrd-start')).toEqual([0, placed?.gpa]);
    expect(cells(chosen, 'linux,initrd-end')).toEqual([0, (placed?.gpa ?? 0) + initrd.length]);
  });

  test('takes all sizes of RAM up to 2 GiB', () => {
    const { pieces } = plan(linuxImage(), { config: board(2 ** 31), initrd: Buffer.alloc(10) });
    expect(pieces.every(({ gpa, bytes }) => gpa + bytes.length <= 2 ** 32)).toBe(true);
  });

  test('fits exactly, and says what is missing when one page more is needed', () => {
    const [kernelEnd, ram] = [2 * MIB + 8192, 16 * MIB];
    const tree = plan(linuxImage(), { config: board(ram) }).deviceTreeGpa - RAM_BASE;
    const initrd = Buffer.alloc(tree - kernelEnd, 1);
    expect(plan(linuxImage(), { initrd, config: board(ram) }).pieces[1]?.gpa).toBe(
      RAM_BASE + kernelEnd,
    );
    const longer = Buffer.alloc(initrd.length + 1, 1);
    expect(() => plan(linuxImage(), { initrd: longer, config: board(ram) })).toThrow(
      refused(/initrd \(.*\) does not fit beside the kernel into 16.00 MiB/, /4.00 KiB more RAM/),
    );
  });

  test.each([
    [
      'RAM that ends before the kernel',
      linuxImage({ imageBytes: 100 * MIB }),
      /does not fit into 64.00 MiB/,
    ],
    [
      'RAM that ends within it',
      linuxImage({ imageBytes: 62 * MIB }),
      /does not fit into 64.00 MiB/,
    ],
    [
      'a kernel that wants to lie anywhere',
      linuxImage({ textOffset: 4096 }),
      /wants to lie 0x1000 bytes/,
    ],
    ['a kernel that claims all', linuxImage({ imageBytes: 2 ** 40 }), /claims to need/],
    ['a big-endian kernel', linuxImage({ flags: 1 }), /is a big-endian kernel/],
    ['a kernel that is cut', linuxImage({ efiBytes: 0x3000 }), /is cut short/],
    [
      'a kernel that is cut early',
      linuxImage({ efiBytes: 0x3000 }).subarray(0, 120),
      /is cut short/,
    ],
    [
      'a kernel that is cut in its header',
      linuxImage({ efiBytes: 0x3000 }).subarray(0, 80),
      /is cut short/,
    ],
  ])('refuses %s', (_, image, message) => {
    expect(() => plan(image)).toThrow(refused(message, /./));
  });

  test('takes a kernel whose EFI header says its length', () => {
    expect(plan(linuxImage({ efiBytes: 0x1000 })).pc).toBe(RAM_BASE + 2 * MIB);
  });

  test('refuses an empty initrd', () => {
    expect(() => plan(linuxImage(), { initrd: Buffer.alloc(0) })).toThrow(
      refused(/is empty/, /none/),
    );
  });
});

describe('planBoot() of an ELF file', () => {
  test('begins in machine mode without firmware, and finds what a test needs', () => {
    const segments = [
      { gpa: RAM_BASE, bytes: Buffer.from('text') },
      { gpa: RAM_BASE + 0x2000, bytes: Buffer.from('data'), memoryBytes: 0x1000 },
    ];
    const symbols = { other: 1, tohost: RAM_BASE + 0x1000, fromhost: RAM_BASE + 0x1040 };
    const planned = plan(elfFile({ entry: RAM_BASE + 2, segments, symbols }));
    expect(planned).toMatchObject({
      pc: RAM_BASE + 2,
      mode: 'machine',
      hasSbi: false,
      symbols: { tohost: RAM_BASE + 0x1000, fromhost: RAM_BASE + 0x1040 },
    });
    expect(planned.pieces.slice(0, 2).map(({ gpa, bytes }) => [gpa, String(bytes)])).toEqual([
      [RAM_BASE, 'text'],
      [RAM_BASE + 0x2000, 'data'],
    ]);
  });

  test('a stripped file runs without symbols, and so does one with a damaged table', () => {
    expect(plan(elfFile()).symbols).toEqual({});
    const file = elfFile({ symbols: { tohost: RAM_BASE } });
    file.writeBigUInt64LE(2n ** 63n, 40);
    expect(plan(file).symbols).toEqual({});
    const strings = elfFile({ symbols: { tohost: RAM_BASE } });
    strings.writeBigUInt64LE(2n ** 60n, strings.length - 64 + 24);
    expect(plan(strings).symbols).toEqual({});
  });

  test('every cut of a file is refused, or still runs', () => {
    const file = elfFile({ symbols: { tohost: RAM_BASE } });
    for (let length = 0; length < 64 + 56 + 8; length += 1) {
      expect(() => plan(file.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'E_GUEST_IMAGE' }),
      );
    }
    for (let length = 64 + 56 + 8; length <= file.length; length += 1) {
      expect(plan(file.subarray(0, length)).pc).toBe(RAM_BASE);
    }
  });

  test.each([
    ['of x86-64', elfFile({ machine: 62 }), /is an ELF file for x86-64/],
    ['of arm64', elfFile({ machine: 183 }), /is an ELF file for arm64/],
    ['of a machine without a name', elfFile({ machine: 999 }), /for machine 999/],
    ['of 32 bits', Object.assign(elfFile(), { 4: 1 }), /of 32 bits/],
    ['in big endian', Object.assign(elfFile(), { 5: 2 }), /big-endian/],
    ['that is a library', elfFile({ type: 3 }), /no executable/],
    ['with nothing in it', elfFile({ segments: [] }), /nothing to load/],
    ['that begins outside of RAM', elfFile({ entry: 0x1000 }), /begins at 0x1000, outside of RAM/],
    [
      'below RAM',
      elfFile({ segments: [{ gpa: 0x1_0000, bytes: Buffer.from('x') }] }),
      /a segment at 0x10000 to 0x10001, outside of the 64.00 MiB of RAM/,
    ],
    [
      'beyond the end of RAM',
      elfFile({ segments: [{ gpa: RAM_BASE, bytes: Buffer.from('x'), memoryBytes: 65 * MIB }] }),
      /outside of the 64.00 MiB/,
    ],
    [
      'that fills all of RAM',
      elfFile({ segments: [{ gpa: RAM_BASE, bytes: Buffer.from('x'), memoryBytes: 64 * MIB }] }),
      /does not fit into 64.00 MiB/,
    ],
    [
      'whose file part is longer than its memory',
      elfFile({ segments: [{ gpa: RAM_BASE, bytes: Buffer.from('xy'), memoryBytes: 1 }] }),
      /damaged header/,
    ],
  ])('refuses a file %s', (_, file, message) => {
    expect(() => plan(file)).toThrow(refused(message, /./));
  });
});

describe('planBoot() of something else', () => {
  const at = (byte: number, magic: string) => {
    const bytes = Buffer.alloc(1024);
    bytes.write(magic, byte, 'latin1');
    return bytes;
  };
  test.each([
    [
      'gzip',
      at(0, '\x1f\x8b'),
      /is compressed by gzip/,
      /^Decompress it: gzip -dc < kernel > Image/,
    ],
    ['xz', at(0, '\xfd7zXZ'), /by xz/, /xz -dc/],
    ['zstd', at(0, '\x28\xb5\x2f\xfd'), /by zstd/, /zstd -dc/],
    ['bzip2', at(0, 'BZh9'), /by bzip2/, /bzip2 -dc/],
    ['lz4', at(0, '\x02\x21\x4c\x18'), /by lz4/, /lz4 -dc/],
    ['an EFI zboot kernel', at(4, 'zimg'), /zboot/, /plain Image/],
    ['a bzImage', at(0x202, 'HdrS'), /for x86/, /riscv64/],
    ['an arm64 Image', at(56, 'ARM\x64'), /for arm64/, /riscv64/],
    ['a LoongArch kernel', at(56, '\xcd\x23\x82\x81'), /LoongArch/, /riscv64/],
    ['a U-Boot image', at(0, '\x27\x05\x19\x56'), /U-Boot/, /dumpimage/],
    ['a package', at(0, '!<arch>\n'), /Debian package/, /dpkg-deb/],
    ['a text', Buffer.from('hello'), /is no kernel for RISC-V/, /Image of Linux/],
    ['nothing', Buffer.alloc(0), /is empty/, /Image of Linux/],
  ])('names %s', (_, bytes, message, remedy) => {
    expect(() => plan(bytes)).toThrow(refused(message, remedy));
  });
});
