import { PAGE_BYTES } from '../../src/base/index.ts';

/** XBZRLE byte by byte, as docs/protocol.md tells it: the twin of kernels/xbzrle.ts. */
export type XbzrleEncoding = Uint8Array | 'unchanged' | 'overflow';

export function encodeXbzrle(
  oldPage: Uint8Array,
  newPage: Uint8Array,
  limitBytes: number = PAGE_BYTES,
): XbzrleEncoding {
  const encoding: number[] = [];
  let at = 0;
  while (at < PAGE_BYTES) {
    if (encoding.length + 2 > limitBytes) return 'overflow';
    const equalFrom = at;
    while (at < PAGE_BYTES && oldPage[at] === newPage[at]) at += 1;
    if (at - equalFrom === PAGE_BYTES) return 'unchanged';
    if (at === PAGE_BYTES) break;
    encoding.push(...lengthBytes(at - equalFrom));
    if (encoding.length + 2 > limitBytes) return 'overflow';
    const changedFrom = at;
    while (at < PAGE_BYTES && oldPage[at] !== newPage[at]) at += 1;
    encoding.push(...lengthBytes(at - changedFrom));
    if (encoding.length + (at - changedFrom) > limitBytes) return 'overflow';
    encoding.push(...newPage.subarray(changedFrom, at));
  }
  return Uint8Array.from(encoding);
}

/** False when the encoding is malformed; `page` may then be partly overwritten. */
export function decodeXbzrle(page: Uint8Array, encoding: Uint8Array): boolean {
  let from = 0;
  let at = 0;
  const readLength = (): number | undefined => {
    if (from + 2 > encoding.length) return undefined;
    const low = encoding[from]!;
    from += 1;
    if (low < 0x80) return low;
    const high = encoding[from]!;
    from += 1;
    return high < 0x80 ? (low & 0x7f) | (high << 7) : undefined;
  };
  while (from < encoding.length) {
    const isFirst = from === 0;
    const equal = readLength();
    if (equal === undefined || (equal === 0 && !isFirst)) return false;
    const changed = readLength();
    if (changed === undefined || changed === 0) return false;
    at += equal;
    if (at + changed > PAGE_BYTES || from + changed > encoding.length) return false;
    page.set(encoding.subarray(from, from + changed), at);
    at += changed;
    from += changed;
  }
  return true;
}

function lengthBytes(length: number): number[] {
  return length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
}
