import { assert, CONTROL_BYTES_MAX } from '../base/index.ts';
import { type BodyResult, malformedBody } from './body/body-reader.ts';

/**
 * Hashes of consecutive pages of one block, as they lie in the source's frozen RAM; 0 for a page
 * of zeros.
 */
export interface VerifyHashesBody {
  readonly firstPfn: number;
  readonly hashes: readonly bigint[];
}

const PREFIX_BYTES = 8;
const HASH_BYTES = 8;
/** Hashes in one frame at most. */
const VERIFY_HASHES_MAX = Math.floor((CONTROL_BYTES_MAX - PREFIX_BYTES) / HASH_BYTES);

/** Plain reading of VERIFY_HASHES; a migration compares in place with the kernel. */
export function decodeVerifyHashes(body: Uint8Array): BodyResult<VerifyHashesBody> {
  if (body.length < PREFIX_BYTES) return malformedBody('VERIFY_HASHES', `${body.length} bytes`);
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const firstPfn = view.getUint32(0, true);
  const count = view.getUint32(4, true);
  // First the length that really came, then anything of the announced size.
  if (count === 0 || count > VERIFY_HASHES_MAX) {
    return malformedBody('VERIFY_HASHES', `${count} hashes`);
  }
  if (body.length !== PREFIX_BYTES + count * HASH_BYTES) {
    return malformedBody('VERIFY_HASHES', `${count} hashes in ${body.length} bytes`);
  }
  if (firstPfn + count > 2 ** 32) {
    return malformedBody('VERIFY_HASHES', 'beyond the last page number', { firstPfn, count });
  }
  const hashes = Array.from({ length: count }, (_, index) =>
    view.getBigUint64(PREFIX_BYTES + index * HASH_BYTES, true),
  );
  return { kind: 'ok', body: { firstPfn, hashes } };
}

export function encodeVerifyHashes({ firstPfn, hashes }: VerifyHashesBody): Uint8Array {
  assert(hashes.length > 0 && hashes.length <= VERIFY_HASHES_MAX, 'Hashes of one frame');
  const body = new Uint8Array(PREFIX_BYTES + hashes.length * HASH_BYTES);
  const view = new DataView(body.buffer);
  view.setUint32(0, firstPfn, true);
  view.setUint32(4, hashes.length, true);
  for (const [index, hash] of hashes.entries()) {
    view.setBigUint64(PREFIX_BYTES + index * HASH_BYTES, hash, true);
  }
  return body;
}
