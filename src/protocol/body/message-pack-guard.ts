/**
 * A structural check of MessagePack from a stranger, before the decoder sees it. The decoder is
 * built for trusted data: by extension types it makes regular expressions, errors and generated
 * code, and it recurses as deep as the bytes say. This walk needs no recursion and allocates
 * nothing but a small stack.
 */
const NESTING_MAX = 8;
/** Keys, values and containers together. The largest honest body has a few hundred. */
const VALUE_COUNT_MAX = 4096;
const KEY_BYTES_MAX = 128;

/** Payload bytes behind the first byte for the types of one fixed size, from 0xc0 on. */
const FIXED_SIZES: ReadonlyMap<number, number> = new Map([
  [0xc0, 0],
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4],
  [0xcb, 8],
  [0xcc, 1],
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
]);

/** Types with a length field: its width in bytes and what it counts. */
const COUNTED: ReadonlyMap<number, readonly [width: 1 | 2 | 4, unit: Unit]> = new Map([
  [0xc4, [1, 'bytes']],
  [0xc5, [2, 'bytes']],
  [0xc6, [4, 'bytes']],
  [0xd9, [1, 'text']],
  [0xda, [2, 'text']],
  [0xdb, [4, 'text']],
  [0xdc, [2, 'items']],
  [0xdd, [4, 'items']],
  [0xde, [2, 'pairs']],
  [0xdf, [4, 'pairs']],
]);

type Unit = 'bytes' | 'text' | 'items' | 'pairs';

/** One value: `count` bytes, items or pairs follow at `next`. */
interface Token {
  readonly unit: Unit;
  readonly count: number;
  readonly next: number;
}

/** Undefined when `bytes` is exactly one plain, shallow value; otherwise what is wrong with it. */
export function messagePackProblem(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Values still to come in each open container; in a map every second one, counted from the
  // first, is a key.
  const open: { left: number; readonly isMap: boolean }[] = [{ left: 1, isMap: false }];
  let position = 0;
  let values = 0;
  for (let container = open.at(-1); container !== undefined; container = open.at(-1)) {
    if (container.left === 0) {
      open.pop();
      continue;
    }
    values += 1;
    if (values > VALUE_COUNT_MAX) return 'Too many values';
    const token = readToken(view, position);
    if (typeof token === 'string') return token;
    const isKey = container.isMap && container.left % 2 === 0;
    if (isKey) {
      const problem = keyProblem(bytes, token);
      if (problem !== undefined) return problem;
    }
    container.left -= 1;
    position = token.next;
    if (token.unit === 'bytes' || token.unit === 'text') {
      position += token.count;
      continue;
    }
    if (open.length > NESTING_MAX) return 'Nested too deeply';
    open.push({
      left: token.unit === 'pairs' ? token.count * 2 : token.count,
      isMap: token.unit === 'pairs',
    });
  }
  return position === bytes.length ? undefined : 'Bytes after the last value';
}

function readToken(view: DataView, position: number): Token | string {
  const end = view.byteLength;
  if (position >= end) return 'Ends inside a value';
  const first = view.getUint8(position);
  const next = position + 1;
  let token: Token;
  if (first < 0x80 || first >= 0xe0) token = { unit: 'bytes', count: 0, next };
  else if (first < 0x90) token = { unit: 'pairs', count: first & 0x0f, next };
  else if (first < 0xa0) token = { unit: 'items', count: first & 0x0f, next };
  else if (first < 0xc0) token = { unit: 'text', count: first & 0x1f, next };
  else {
    const fixed = FIXED_SIZES.get(first);
    const counted = COUNTED.get(first);
    if (fixed !== undefined) token = { unit: 'bytes', count: fixed, next };
    else if (counted === undefined) return `Type 0x${first.toString(16)} is not used`;
    else {
      const [width, unit] = counted;
      if (next + width > end) return 'Ends inside a value';
      token = { unit, count: readLength(view, next, width), next: next + width };
    }
  }
  // Each item needs a byte at least, so a length beyond what is there can never come true.
  const bytesAtLeast = token.unit === 'pairs' ? token.count * 2 : token.count;
  return token.next + bytesAtLeast > end ? 'Ends inside a value' : token;
}

function readLength(view: DataView, position: number, width: 1 | 2 | 4): number {
  if (width === 1) return view.getUint8(position);
  return width === 2 ? view.getUint16(position) : view.getUint32(position);
}

const PROTO_KEY = new TextEncoder().encode('__proto__');

function keyProblem(bytes: Uint8Array, token: Token): string | undefined {
  if (token.unit !== 'text') return 'A key is not text';
  if (token.count > KEY_BYTES_MAX) return 'A key is too long';
  if (token.count !== PROTO_KEY.length) return undefined;
  const isProto = PROTO_KEY.every((byte, index) => byte === bytes[token.next + index]);
  return isProto ? 'A key is __proto__' : undefined;
}
