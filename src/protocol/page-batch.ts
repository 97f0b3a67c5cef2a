import { BATCH_PAGES_MAX, PAGE_BYTES } from '../base/index.ts';
import { type BodyResult, malformedBody } from './body/body-reader.ts';
import { PAGE_ENTRY_BYTES, PAGE_KINDS } from './message-types.ts';

/** Of entries that have a payload: the page, its delta, or an LZ4 block of either. */
export type PayloadKind = 'RAW' | 'XBZRLE' | 'LZ4' | 'LZ4_XBZRLE';

/** One row of the table of a PAGE_BATCH. */
export type PageEntry =
  | { readonly kind: 'ZERO_RUN'; readonly pfn: number; readonly pages: number }
  | {
      readonly kind: PayloadKind;
      readonly pfn: number;
      /** Of the page as it will be, its number included. */
      readonly hash: bigint;
      /** A view into the body. */
      readonly payload: Uint8Array;
    };

/**
 * How long a payload may be. The shortest XBZRLE is two lengths and a byte, the shortest LZ4 a
 * token and a literal; an encoding that is not shorter than the page is sent RAW.
 */
const PAYLOAD_BYTES: Readonly<Record<PayloadKind, readonly [number, number]>> = {
  RAW: [PAGE_BYTES, PAGE_BYTES],
  XBZRLE: [3, PAGE_BYTES - 1],
  LZ4: [2, PAGE_BYTES - 1],
  LZ4_XBZRLE: [2, PAGE_BYTES - 1],
};
const KIND_BY_NUMBER: ReadonlyMap<number, PayloadKind> = new Map(
  (Object.keys(PAYLOAD_BYTES) as PayloadKind[]).map((name) => [PAGE_KINDS[name], name]),
);
const ZERO_RUN_PAGES_MAX = 65_535;
const PAGE_ENTRIES_MAX = BATCH_PAGES_MAX;

/**
 * Reads a PAGE_BATCH, as strict as the document. Plain and slow: for the dump, for tests and as
 * the kernel's twin; a migration applies batches with the kernel. Whether a page number exists
 * only the block can tell.
 */
export function decodePageTable(body: Uint8Array, checkedBytes: number): BodyResult<PageEntry[]> {
  const tableAt = body.length - checkedBytes;
  const entryCount = checkedBytes / PAGE_ENTRY_BYTES;
  if (!Number.isInteger(entryCount) || entryCount < 1 || entryCount > PAGE_ENTRIES_MAX) {
    return malformedBody('PAGE_BATCH', `the table has ${checkedBytes} bytes`);
  }
  if (tableAt < 0 || tableAt % 8 !== 0) {
    return malformedBody('PAGE_BATCH', `the table begins at ${tableAt}`);
  }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const entries: PageEntry[] = [];
  let payloadAt = 0;
  for (let index = 0; index < entryCount; index += 1) {
    const at = tableAt + index * PAGE_ENTRY_BYTES;
    const entry = readEntry(view, at, body.subarray(payloadAt, tableAt));
    if (typeof entry === 'string') {
      return malformedBody('PAGE_BATCH', entry, { index, pfn: view.getUint32(at, true) });
    }
    entries.push(entry);
    if (entry.kind !== 'ZERO_RUN') payloadAt += entry.payload.length;
  }
  if (roundUp8(payloadAt) !== tableAt) {
    return malformedBody('PAGE_BATCH', `the payload has ${payloadAt} of ${tableAt} bytes`);
  }
  if (body.subarray(payloadAt, tableAt).some((byte) => byte !== 0)) {
    return malformedBody('PAGE_BATCH', 'the padding is not zero');
  }
  return { kind: 'ok', body: entries };
}

/** Lays a body out as the kernel does. */
export function encodePageBatch(entries: readonly PageEntry[]): {
  readonly body: Uint8Array;
  readonly checkedBytes: number;
} {
  const payloads = entries.map((entry) =>
    entry.kind === 'ZERO_RUN' ? new Uint8Array(0) : entry.payload,
  );
  const tableAt = roundUp8(payloads.reduce((total, payload) => total + payload.length, 0));
  const checkedBytes = entries.length * PAGE_ENTRY_BYTES;
  const body = new Uint8Array(tableAt + checkedBytes);
  const view = new DataView(body.buffer);
  let payloadAt = 0;
  for (const [index, entry] of entries.entries()) {
    const at = tableAt + index * PAGE_ENTRY_BYTES;
    view.setUint32(at, entry.pfn, true);
    view.setUint8(at + 4, PAGE_KINDS[entry.kind]);
    if (entry.kind === 'ZERO_RUN') {
      view.setUint16(at + 6, entry.pages, true);
      continue;
    }
    view.setUint16(at + 6, entry.payload.length, true);
    view.setBigUint64(at + 8, entry.hash, true);
    body.set(entry.payload, payloadAt);
    payloadAt += entry.payload.length;
  }
  return { body, checkedBytes };
}

function readEntry(view: DataView, at: number, rest: Uint8Array): PageEntry | string {
  const pfn = view.getUint32(at, true);
  const kind = view.getUint8(at + 4);
  const length = view.getUint16(at + 6, true);
  const hash = view.getBigUint64(at + 8, true);
  if (view.getUint8(at + 5) !== 0) return 'a reserved byte is set';
  if (kind === PAGE_KINDS.ZERO_RUN) {
    if (length === 0 || length > ZERO_RUN_PAGES_MAX) return 'a zero run is empty';
    if (pfn + length > 2 ** 32) return 'a zero run goes beyond the last page number';
    if (hash !== 0n) return 'a zero run has a hash';
    return { kind: 'ZERO_RUN', pfn, pages: length };
  }
  const name = KIND_BY_NUMBER.get(kind);
  if (name === undefined) return `kind ${kind} was not agreed on`;
  const [min, max] = PAYLOAD_BYTES[name];
  if (length < min || length > max) return `a payload of kind ${name} has ${length} bytes`;
  if (length > rest.length) return 'the payload is too short';
  return { kind: name, pfn, hash, payload: rest.subarray(0, length) };
}

function roundUp8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
