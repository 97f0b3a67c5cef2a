const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const SYMBOL_TABLE = 2;

/**
 * Addresses of some symbols. A file that is stripped, or whose tables are damaged, has none: it
 * runs without.
 */
export function readElfSymbols(
  bytes: Uint8Array,
  names: readonly string[],
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  if (names.length === 0) return found;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sections = readSections(view);
  for (const { type, offset, length, link } of sections) {
    const strings = sections[link];
    if (type !== SYMBOL_TABLE || strings === undefined) continue;
    for (let at = offset; at + SYMBOL_BYTES <= offset + length; at += SYMBOL_BYTES) {
      const first = strings.offset + view.getUint32(at, true);
      const name = names.find((candidate) => isAt(bytes, first, candidate));
      if (name !== undefined) found.set(name, Number(view.getBigUint64(at + 8, true)));
    }
  }
  return found;
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly length: number;
  readonly link: number;
}

/** Those that lie inside the file; none when their table does not. */
function readSections(view: DataView): Section[] {
  const table = Number(view.getBigUint64(40, true));
  const count = view.getUint16(60, true);
  if (table + count * SECTION_BYTES > view.byteLength) return [];
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * SECTION_BYTES;
    const offset = Number(view.getBigUint64(at + 24, true));
    const length = Number(view.getBigUint64(at + 32, true));
    const isInside = offset + length <= view.byteLength;
    const type = isInside ? view.getUint32(at + 4, true) : 0;
    return { type, offset, length, link: view.getUint32(at + 40, true) };
  });
}

function isAt(bytes: Uint8Array, at: number, name: string): boolean {
  if (bytes[at + name.length] !== 0) return false;
  for (let index = 0; index < name.length; index += 1) {
    if (bytes[at + index] !== name.charCodeAt(index)) return false;
  }
  return true;
}
