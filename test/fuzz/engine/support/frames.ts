import { crc32c } from '../../../../src/base/index.ts';
import {
  encodeFrame,
  encodePagesFrame,
  FRAME_HEADER_BYTES,
  MESSAGE_TYPES,
  type MessageName,
  messageName,
} from '../../../../src/protocol/index.ts';

/** A control frame; its sequence is set when it is sent. */
export function controlFrame(name: MessageName, body: Uint8Array): Uint8Array {
  return encodeFrame(MESSAGE_TYPES[name], 0, body);
}

/** A frame that carries pages or hashes of a block. */
export function blockFrame(
  name: 'PAGE_BATCH' | 'VERIFY_HASHES' | 'PROBE_DATA',
  block: number,
  body: Uint8Array,
  checkedBytes: number,
): Uint8Array {
  return encodePagesFrame(MESSAGE_TYPES[name], 0, block, body, checkedBytes);
}

/** A map of a block's pages. */
export function mapFrame(
  name: 'MISSING_MAP' | 'RECEIVED_MAP',
  block: number,
  body: Uint8Array,
): Uint8Array {
  return encodePagesFrame(MESSAGE_TYPES[name], 0, block, body, body.length);
}

export function nameOf(frame: Uint8Array): MessageName | undefined {
  return messageName(frame[5] ?? 0);
}

export function bodyOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(FRAME_HEADER_BYTES);
}

/** A copy with another sequence, and a header whose checksum is right. */
export function numbered(frame: Uint8Array, sequence: number): Uint8Array {
  const copy = new Uint8Array(frame);
  if (copy.length < FRAME_HEADER_BYTES) return copy;
  viewOf(copy).setUint32(16, sequence, true);
  return sealHeader(copy);
}

/** Makes the checksum of the checked tail right, as far as the lengths in the header allow. */
export function sealBody(frame: Uint8Array): Uint8Array {
  const view = viewOf(frame);
  const checkedBytes = Math.min(view.getUint32(12, true), frame.length - FRAME_HEADER_BYTES);
  view.setUint32(24, crc32c(frame.subarray(frame.length - checkedBytes)), true);
  return sealHeader(frame);
}

export function sealHeader(frame: Uint8Array): Uint8Array {
  viewOf(frame).setUint32(28, crc32c(frame.subarray(0, 28)), true);
  return frame;
}

export function viewOf(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
}
