import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { PAGE_COUNT_MAX } from '../body/page-count.ts';

/** The last VERIFY_HASHES was sent. */
export interface VerifyEndBody {
  /** Hashes sent. */
  readonly pages: number;
  /** The source has only some pages of RAM: it was started again from its page spill. */
  readonly partial?: boolean;
}

export interface VerifyResultBody {
  readonly status: 'identical' | 'mismatch';
  /** Pages compared. */
  readonly pages: number;
  /** First few differing pages as `block:pfn`. */
  readonly mismatches: readonly string[];
}

export const MISMATCH_COUNT_MAX = 16;
const MISMATCH_BYTES_MAX = 160;

export function encodeVerifyEnd(body: VerifyEndBody): Uint8Array {
  return packBody('VERIFY_END', {
    pages: body.pages,
    ...(body.partial === undefined ? {} : { partial: body.partial }),
  });
}

export function decodeVerifyEnd(bytes: Uint8Array): BodyResult<VerifyEndBody> {
  return readBody('VERIFY_END', bytes, (fields) => ({
    pages: fields.integer('pages', 0, PAGE_COUNT_MAX),
    ...(fields.has('partial') ? { partial: fields.boolean('partial') } : {}),
  }));
}

export function encodeVerifyResult(body: VerifyResultBody): Uint8Array {
  return packBody('VERIFY_RESULT', {
    status: body.status,
    pages: body.pages,
    mismatches: body.mismatches,
  });
}

export function decodeVerifyResult(bytes: Uint8Array): BodyResult<VerifyResultBody> {
  return readBody('VERIFY_RESULT', bytes, (fields) => ({
    status: fields.choice('status', ['identical', 'mismatch']),
    pages: fields.integer('pages', 0, PAGE_COUNT_MAX),
    mismatches: fields.texts('mismatches', MISMATCH_COUNT_MAX, MISMATCH_BYTES_MAX),
  }));
}
