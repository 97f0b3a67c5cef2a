import {
  BATCH_PAGES_MAX,
  CONTROL_BYTES_MAX,
  HELLO_BYTES_MAX,
  MACHINE_STATE_BYTES_MAX,
  PAGE_BYTES,
  PROBE_DATA_BYTES_MAX,
  RAM_BLOCK_BYTES_MAX,
} from '../base/index.ts';

/** Numbers on the wire. Zero is never valid; a retired number stays listed and is never reused. */
export const MESSAGE_TYPES = {
  HELLO: 1,
  HELLO_ACK: 2,
  ERROR: 3,
  CANCEL: 4,
  PING: 5,
  PONG: 6,
  PASS_BEGIN: 7,
  PAGE_BATCH: 8,
  PROGRESS: 9,
  STOPPED: 10,
  MACHINE_STATE: 11,
  SWITCHOVER: 12,
  SWITCHOVER_ACK: 13,
  GRANT: 14,
  RESUMED: 15,
  VERIFY_HASHES: 16,
  VERIFY_END: 17,
  VERIFY_RESULT: 18,
  GOODBYE: 19,
  GUEST_STARTED: 20,
  MISSING_MAP: 21,
  POSTCOPY_RESUMED: 22,
  PAGE_REQUEST: 23,
  POSTCOPY_END: 24,
  ALL_RECEIVED: 25,
  JOIN: 26,
  RECOVERY: 27,
  RECEIVED_MAP: 28,
  RECOVERED: 29,
  ATTACHED: 30,
  JOURNAL_PAGES: 31,
  JOURNAL_STATE: 32,
  JOURNAL_POINT: 33,
  JOURNAL_ACK: 34,
  PROBE: 35,
  PROBE_ACK: 36,
  PROBE_DATA: 37,
  PROBE_END: 38,
  PROBE_RESULT: 39,
} as const;

export type MessageName = keyof typeof MESSAGE_TYPES;
export type MessageType = (typeof MESSAGE_TYPES)[MessageName];

/** A page entry in the table of PAGE_BATCH. */
export const PAGE_ENTRY_BYTES = 16;

/** A PAGE_BATCH body at its longest: every page raw, and a table entry each. */
export const PAGE_BATCH_BYTES_MAX = BATCH_PAGES_MAX * (PAGE_BYTES + PAGE_ENTRY_BYTES);

/** A page map's count of pages and its encoding. */
export const PAGE_MAP_PREFIX_BYTES = 8;
/** A page map at its longest: a bit for each page of the largest block. */
export const PAGE_MAP_BYTES_MAX = PAGE_MAP_PREFIX_BYTES + RAM_BLOCK_BYTES_MAX / PAGE_BYTES / 8;

/**
 * Longest body of each type; a header that announces more is malformed, before anything is
 * allocated.
 */
export const BODY_BYTES_MAX: Readonly<Record<MessageName, number>> = {
  HELLO: HELLO_BYTES_MAX,
  HELLO_ACK: HELLO_BYTES_MAX,
  ERROR: 4096,
  CANCEL: 4096,
  PING: 64,
  PONG: 64,
  PASS_BEGIN: 256,
  PAGE_BATCH: PAGE_BATCH_BYTES_MAX,
  PROGRESS: 256,
  STOPPED: 1024,
  MACHINE_STATE: MACHINE_STATE_BYTES_MAX,
  SWITCHOVER: 1024,
  SWITCHOVER_ACK: 1024,
  GRANT: 256,
  RESUMED: 1024,
  VERIFY_HASHES: CONTROL_BYTES_MAX,
  VERIFY_END: 256,
  VERIFY_RESULT: 4096,
  GOODBYE: 256,
  GUEST_STARTED: 1024,
  MISSING_MAP: PAGE_MAP_BYTES_MAX,
  POSTCOPY_RESUMED: 1024,
  PAGE_REQUEST: 1024,
  POSTCOPY_END: 256,
  ALL_RECEIVED: 1024,
  JOIN: 1024,
  RECOVERY: 1024,
  RECEIVED_MAP: PAGE_MAP_BYTES_MAX,
  RECOVERED: 256,
  ATTACHED: 256,
  JOURNAL_PAGES: PAGE_BATCH_BYTES_MAX,
  JOURNAL_STATE: MACHINE_STATE_BYTES_MAX,
  JOURNAL_POINT: 256,
  JOURNAL_ACK: 256,
  PROBE: 256,
  PROBE_ACK: 256,
  PROBE_DATA: PROBE_DATA_BYTES_MAX,
  PROBE_END: 256,
  PROBE_RESULT: 256,
};

const NAME_BY_TYPE: ReadonlyMap<number, MessageName> = new Map(
  (Object.keys(MESSAGE_TYPES) as MessageName[]).map((name) => [MESSAGE_TYPES[name], name]),
);

export function messageName(type: number): MessageName | undefined {
  return NAME_BY_TYPE.get(type);
}

/** Page maps: raw bytes, checked whole as control bodies are. */
export function carriesPageMap(type: number): boolean {
  return type === MESSAGE_TYPES.MISSING_MAP || type === MESSAGE_TYPES.RECEIVED_MAP;
}

/**
 * These bodies are raw bytes that a kernel checks and reads in place.
 */
export function carriesPages(type: number): boolean {
  return carriesPageTable(type) || type === MESSAGE_TYPES.VERIFY_HASHES;
}

/** Payloads with a table at the end, which alone is checked. */
export function carriesPageTable(type: number): boolean {
  return type === MESSAGE_TYPES.PAGE_BATCH || type === MESSAGE_TYPES.JOURNAL_PAGES;
}

/**
 * How the bytes of a page travel (u8 in its table entry). CONTENT_REFERENCE is for later.
 */
export const PAGE_KINDS = {
  ZERO_RUN: 1,
  RAW: 2,
  XBZRLE: 3,
  LZ4: 4,
  LZ4_XBZRLE: 5,
  CONTENT_REFERENCE: 6,
} as const;

export type PageKindName = keyof typeof PAGE_KINDS;
