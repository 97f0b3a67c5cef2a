/** What a `newc` archive says of one of its entries. */
export interface CpioEntry {
  readonly path: string;
  readonly inode: number;
  readonly mode: number;
  readonly owner: readonly [user: number, group: number];
  readonly linkCount: number;
  readonly time: number;
  readonly device: readonly [major: number, minor: number];
  readonly data: Buffer;
}

/** Reads a `newc` archive as Linux does; throws where its own reader would stop. */
export function readCpio(bytes: Buffer): CpioEntry[] {
  const entries: CpioEntry[] = [];
  let at = 0;
  for (;;) {
    if (bytes.toString('latin1', at, at + 6) !== '070701') throw new Error(`No header at ${at}`);
    const field = (index: number) => {
      const text = bytes.toString('latin1', at + 6 + index * 8, at + 14 + index * 8);
      if (!/^[0-9a-fA-F]{8}$/.test(text)) throw new Error(`No number at ${at}: ${text}`);
      return Number.parseInt(text, 16);
    };
    const nameEnd = at + 110 + field(11);
    const path = bytes.toString('utf8', at + 110, nameEnd - 1);
    if (bytes[nameEnd - 1] !== 0) throw new Error(`The name at ${at} has no end`);
    const dataStart = (nameEnd + 3) & ~3;
    const data = bytes.subarray(dataStart, dataStart + field(6));
    if (path === 'TRAILER!!!') return entries;
    entries.push({
      ...{ path, inode: field(0), mode: field(1), owner: [field(2), field(3)] },
      ...{ linkCount: field(4), time: field(5), device: [field(9), field(10)], data },
    });
    at = (dataStart + data.length + 3) & ~3;
  }
}
