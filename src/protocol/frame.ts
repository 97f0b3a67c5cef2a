import { crc32c, SternaError } from '../base/index.ts';
import {
  BODY_BYTES_MAX,
  carriesPageMap,
  carriesPages,
  carriesPageTable,
  type MessageName,
  type MessageType,
  messageName,
} from './message-types.ts';

/**
 * The frame header, 32 bytes, little-endian (docs/protocol.md, Frame):
 *
 *    0  u32 magic "STRN"     4  u8 version   5  u8 type   6  u16 flags (bit 0: optional)
 *    8  u32 bodyBytes       12  u32 checkedBytes: the tail of the body that checkedCrc covers
 *   16  u32 sequence        20  u16 block    22  u16 reserved, 0
 *   24  u32 checkedCrc      28  u32 headerCrc over bytes 0-27
 *
 * The header has a checksum of its own, so that its lengths are trusted before the body is there.
 */
export const FRAME_HEADER_BYTES = 32;
export const FRAME_MAGIC = 0x4e525453;
export const PROTOCOL_VERSION = 1;
const FLAG_OPTIONAL = 1;

export interface FrameHeader {
  readonly type: MessageType;
  readonly optional: boolean;
  readonly bodyBytes: number;
  readonly checkedBytes: number;
  readonly sequence: number;
  readonly block: number;
  readonly checkedCrc: number;
}

/** A header whose type this version does not know but which says that it may be skipped. */
export interface SkippableHeader {
  readonly type: undefined;
  readonly optional: true;
  readonly bodyBytes: number;
  readonly checkedBytes: number;
  readonly sequence: number;
  readonly block: number;
  readonly checkedCrc: number;
}

export type HeaderResult =
  | { readonly kind: 'header'; readonly header: FrameHeader | SkippableHeader }
  | { readonly kind: 'malformed'; readonly error: SternaError };

/** An optional message of unknown type may be at most this long. */
export const OPTIONAL_BYTES_MAX = 64 * 2 ** 10;

/** Writes the header into the first 32 bytes of `frame`. */
export function writeHeader(frame: Uint8Array, header: FrameHeader): void {
  const view = new DataView(frame.buffer, frame.byteOffset, FRAME_HEADER_BYTES);
  view.setUint32(0, FRAME_MAGIC, true);
  view.setUint8(4, PROTOCOL_VERSION);
  view.setUint8(5, header.type);
  view.setUint16(6, header.optional ? FLAG_OPTIONAL : 0, true);
  view.setUint32(8, header.bodyBytes, true);
  view.setUint32(12, header.checkedBytes, true);
  view.setUint32(16, header.sequence, true);
  view.setUint16(20, header.block, true);
  view.setUint16(22, 0, true);
  view.setUint32(24, header.checkedCrc, true);
  view.setUint32(28, crc32c(frame.subarray(0, 28)), true);
}

/** A whole control frame, or a page map of `block`. */
export function encodeFrame(
  type: MessageType,
  sequence: number,
  body: Uint8Array,
  block = 0,
): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  frame.set(body, FRAME_HEADER_BYTES);
  writeHeader(frame, {
    type,
    optional: false,
    bodyBytes: body.length,
    checkedBytes: body.length,
    sequence,
    block,
    checkedCrc: crc32c(body),
  });
  return frame;
}

/** A whole frame whose body is about `block`; its last `checkedBytes` are checked. */
export function encodePagesFrame(
  type: MessageType,
  sequence: number,
  block: number,
  body: Uint8Array,
  checkedBytes: number,
): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  frame.set(body, FRAME_HEADER_BYTES);
  const checkedCrc = crc32c(body.subarray(body.length - checkedBytes));
  const bodyBytes = body.length;
  writeHeader(frame, {
    type,
    optional: false,
    bodyBytes,
    checkedBytes,
    sequence,
    block,
    checkedCrc,
  });
  return frame;
}

/**
 * Reads 32 bytes. Never throws; a length above the cap of its type is malformed now, not incomplete
 * for an hour.
 */
export function readHeader(bytes: Uint8Array, expectedSequence: number): HeaderResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  const stranger = strangerProblem(view, bytes);
  if (stranger !== undefined) return stranger;
  const type = view.getUint8(5);
  const flags = view.getUint16(6, true);
  const fields: HeaderFields = {
    bodyBytes: view.getUint32(8, true),
    checkedBytes: view.getUint32(12, true),
    sequence: view.getUint32(16, true),
    block: view.getUint16(20, true),
    checkedCrc: view.getUint32(24, true),
  };
  if ((flags & ~FLAG_OPTIONAL) !== 0 || view.getUint16(22, true) !== 0) {
    return malformed('E_PROTOCOL_BAD_HEADER', 'Reserved bits are set', { flags });
  }
  const optional = (flags & FLAG_OPTIONAL) !== 0;
  const name = messageName(type);
  if (name === undefined && (!optional || type === 0)) {
    return malformed('E_PROTOCOL_UNKNOWN_MESSAGE', `Unknown mandatory message type ${type}`, {
      type,
    });
  }
  const problem = fieldProblem(type, name, fields);
  if (problem !== undefined) return problem;
  if (fields.sequence !== expectedSequence) {
    const { sequence } = fields;
    return malformed('E_PROTOCOL_SEQUENCE', 'Frame is out of sequence', {
      sequence,
      expectedSequence,
    });
  }
  if (name === undefined) {
    return { kind: 'header', header: { type: undefined, optional: true, ...fields } };
  }
  // messageName() knows the number, so it is a MessageType.
  return { kind: 'header', header: { type: type as MessageType, optional, ...fields } };
}

type HeaderFields = Omit<FrameHeader, 'type' | 'optional'>;

/** What shows that this is no header of this protocol and version, or a damaged one. */
function strangerProblem(view: DataView, bytes: Uint8Array): HeaderResult | undefined {
  const magic = view.getUint32(0, true);
  if (magic !== FRAME_MAGIC) {
    return malformed('E_PROTOCOL_BAD_MAGIC', 'Not a Sterna stream', { magic });
  }
  const version = view.getUint8(4);
  if (version !== PROTOCOL_VERSION) {
    return malformed('E_PROTOCOL_VERSION', 'Unsupported protocol version', {
      version,
      supported: PROTOCOL_VERSION,
    });
  }
  if (view.getUint32(28, true) !== crc32c(bytes.subarray(0, 28))) {
    return malformed('E_PROTOCOL_BAD_HEADER', 'Header checksum does not match', {});
  }
  return undefined;
}

/** Lengths and block number of a known, or a skippable, type. */
function fieldProblem(
  type: number,
  name: MessageName | undefined,
  { bodyBytes, checkedBytes, block }: HeaderFields,
): HeaderResult | undefined {
  const maxBytes = name === undefined ? OPTIONAL_BYTES_MAX : BODY_BYTES_MAX[name];
  if (bodyBytes > maxBytes) {
    const what = name ?? 'Optional message';
    return malformed('E_PROTOCOL_FRAME_TOO_LONG', `${what} of ${bodyBytes} bytes`, {
      bodyBytes,
      maxBytes,
    });
  }
  if (checkedBytes > bodyBytes) {
    return malformed('E_PROTOCOL_BAD_HEADER', 'Checked part is longer than the body', {
      bodyBytes,
      checkedBytes,
    });
  }
  // What a later version does with these fields is not known; an optional message is skipped.
  if (name === undefined) return undefined;
  // What a probe carries means nothing, and would cost more to check than to carry.
  if (name === 'PROBE_DATA' && checkedBytes !== 0) {
    return malformed('E_PROTOCOL_BAD_HEADER', 'Body of a probe is checked', { checkedBytes });
  }
  // Only a batch of pages has a checked tail: everything else is covered whole.
  const isWhole = name !== 'PROBE_DATA' && !carriesPageTable(type);
  if (isWhole && checkedBytes !== bodyBytes) {
    return malformed('E_PROTOCOL_BAD_HEADER', 'Body is not checked whole', {
      bodyBytes,
      checkedBytes,
    });
  }
  if (block !== 0 && !carriesPages(type) && !carriesPageMap(type)) {
    return malformed('E_PROTOCOL_BAD_HEADER', 'Reserved field is set', { block });
  }
  return undefined;
}

/** Compares the checked tail of a whole body with the header's checksum. */
export function checkBody(
  header: FrameHeader | SkippableHeader,
  body: Uint8Array,
): SternaError | undefined {
  const checked = body.subarray(header.bodyBytes - header.checkedBytes, header.bodyBytes);
  if (crc32c(checked) === header.checkedCrc) return undefined;
  return new SternaError('E_PROTOCOL_CHECKSUM', 'Body checksum does not match', {
    detail: { type: header.type ?? 'unknown', sequence: header.sequence },
  });
}

function malformed(
  code: SternaError['code'],
  message: string,
  detail: Record<string, unknown>,
): HeaderResult {
  return { kind: 'malformed', error: new SternaError(code, message, { detail }) };
}
