/** A kernel module with nothing but a section `.modinfo`: 64-bit ELF, little-endian. */
export function moduleFile(info: readonly string[]): Buffer {
  const modinfo = Buffer.from(info.map((line) => `${line}\0`).join(''), 'latin1');
  const names = Buffer.from('\0.modinfo\0.shstrtab\0', 'latin1');
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  const sections = [
    { name: 0, offset: 0, size: 0 },
    { name: 1, offset: 64, size: modinfo.length },
    { name: 10, offset: 64 + modinfo.length, size: names.length },
  ];
  header.writeBigUInt64LE(BigInt(64 + modinfo.length + names.length), 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(sections.length, 0x3c);
  header.writeUInt16LE(2, 0x3e);
  const table = sections.map(({ name, offset, size }) => {
    const entry = Buffer.alloc(64);
    entry.writeUInt32LE(name, 0);
    entry.writeBigUInt64LE(BigInt(offset), 0x18);
    entry.writeBigUInt64LE(BigInt(size), 0x20);
    return entry;
  });
  return Buffer.concat([header, modinfo, names, ...table]);
}
