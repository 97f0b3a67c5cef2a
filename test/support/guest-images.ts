/** Makes the files that a guest is booted from, right and wrong. */

export interface ElfParts {
  readonly machine?: number;
  readonly type?: number;
  readonly entry?: number;
  readonly segments?: readonly {
    readonly gpa: number;
    readonly bytes: Uint8Array;
    readonly memoryBytes?: number;
  }[];
  readonly symbols?: Readonly<Record<string, number>>;
}

/** An ELF64 file: header, program headers, contents, symbol table. */
export function elfFile({
  machine = 243,
  type = 2,
  entry = 0x8000_0000,
  segments = [{ gpa: 0x8000_0000, bytes: Buffer.from('program!') }],
  symbols = {},
}: ElfParts = {}): Buffer {
  const header = Buffer.alloc(64 + segments.length * 56);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(type, 16);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(BigInt(entry), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(segments.length, 56);
  let at = header.length;
  for (const [index, { gpa, bytes, memoryBytes = bytes.length }] of segments.entries()) {
    const place = 64 + index * 56;
    header.writeUInt32LE(1, place);
    for (const [offset, value] of [
      [8, at],
      [16, gpa],
      [24, gpa],
      [32, bytes.length],
    ] as const) {
      header.writeBigUInt64LE(BigInt(value), place + offset);
    }
    header.writeBigUInt64LE(BigInt(memoryBytes), place + 40);
    at += bytes.length;
  }
  const tables = symbolTables(symbols, at);
  header.writeBigUInt64LE(BigInt(at + tables.length - 3 * 64), 40);
  header.writeUInt16LE(3, 60);
  return Buffer.concat([header, ...segments.map(({ bytes }) => bytes), tables]);
}

/** Names, symbols, and a section table: none, symbols, names. */
function symbolTables(symbols: Readonly<Record<string, number>>, at: number): Buffer {
  const names = Buffer.from(
    `\0${Object.keys(symbols)
      .map((name) => `${name}\0`)
      .join('')}`,
  );
  const table = Buffer.alloc(24 * Object.keys(symbols).length);
  let nameByte = 1;
  for (const [index, [name, address]] of Object.entries(symbols).entries()) {
    table.writeUInt32LE(nameByte, index * 24);
    table.writeBigUInt64LE(BigInt(address), index * 24 + 8);
    nameByte += name.length + 1;
  }
  const sections = Buffer.alloc(3 * 64);
  for (const [index, type, offset, length] of [
    [1, 2, at + names.length, table.length],
    [2, 3, at, names.length],
  ] as const) {
    sections.writeUInt32LE(type, index * 64 + 4);
    sections.writeBigUInt64LE(BigInt(offset), index * 64 + 24);
    sections.writeBigUInt64LE(BigInt(length), index * 64 + 32);
    sections.writeUInt32LE(2, index * 64 + 40);
  }
  return Buffer.concat([names, table, sections]);
}

export interface ImageParts {
  readonly textOffset?: number;
  readonly imageBytes?: number;
  readonly flags?: number;
  /** Length of the file. */
  readonly bytes?: number;
  /** Length that the EFI header says that the file has; without one, there is no such header. */
  readonly efiBytes?: number;
}

/** A flat Image of Linux. */
export function linuxImage({
  textOffset = 0x20_0000,
  imageBytes = 0x2000,
  flags = 0,
  bytes = 0x1000,
  efiBytes,
}: ImageParts = {}): Buffer {
  const image = Buffer.alloc(Math.max(bytes, 64));
  image.writeBigUInt64LE(BigInt(textOffset), 8);
  image.writeBigUInt64LE(BigInt(imageBytes), 16);
  image.writeBigUInt64LE(BigInt(flags), 24);
  image.write('RISCV\0\0\0', 48, 'latin1');
  image.write('RSC\x05', 56, 'latin1');
  if (efiBytes !== undefined) {
    image.write('MZ', 0);
    image.writeUInt32LE(64, 60);
    image.write('PE\0\0', 64);
    image.writeUInt16LE(1, 70);
    image.writeUInt16LE(16, 84);
    image.writeUInt32LE(efiBytes - 512, 64 + 24 + 16 + 16);
    image.writeUInt32LE(512, 64 + 24 + 16 + 20);
  }
  return image;
}
