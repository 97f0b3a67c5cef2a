import {
  ERROR_TEXT_BYTES_MAX,
  errorCodeFromNumber,
  errorCodeNumber,
  type GuestOwner,
  SternaError,
} from '../../base/index.ts';
import { type BodyResult, readBody, type Scalar } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';

/** Why the sender gives up. It is the last message of whoever sends it. */
export interface ErrorBody {
  /** Number of base/errors.ts. One that the receiver does not know survives with its text. */
  readonly code: number;
  /** Where the sender was, for example `precopy`. */
  readonly phase?: string;
  readonly text: string;
  /** Who owns the guest as far as the sender knows; absent when the sender cannot tell. */
  readonly guestOwner?: GuestOwner;
  readonly detail?: Readonly<Record<string, Scalar>>;
}

const PHASE_BYTES_MAX = 64;
const DETAIL_COUNT_MAX = 16;
const DETAIL_TEXT_BYTES_MAX = 96;
const DETAIL_BYTES_MAX = 2560;
const GUEST_OWNERS: readonly GuestOwner[] = ['source', 'destination', 'unknown', 'none'];

export function encodeError(body: ErrorBody): Uint8Array {
  return packBody('ERROR', {
    code: body.code,
    ...(body.phase === undefined ? {} : { phase: body.phase }),
    text: body.text,
    ...(body.guestOwner === undefined ? {} : { guestOwner: body.guestOwner }),
    ...(body.detail === undefined ? {} : { detail: body.detail }),
  });
}

export function decodeError(bytes: Uint8Array): BodyResult<ErrorBody> {
  return readBody('ERROR', bytes, (fields) => ({
    code: fields.integer('code', 1, 65_535),
    ...(fields.has('phase') ? { phase: fields.text('phase', PHASE_BYTES_MAX) } : {}),
    text: fields.text('text', ERROR_TEXT_BYTES_MAX),
    ...(fields.has('guestOwner') ? { guestOwner: fields.choice('guestOwner', GUEST_OWNERS) } : {}),
    ...(fields.has('detail') ? { detail: fields.scalars('detail', DETAIL_BYTES_MAX) } : {}),
  }));
}

/** What the peer is told of `error`: its plain details, all texts cut to what the wire allows. */
export function errorBodyFrom(error: SternaError): ErrorBody {
  const detail = plainDetail(error.detail);
  return {
    code: errorCodeNumber(error.code),
    ...(error.phase === undefined ? {} : { phase: printable(error.phase, PHASE_BYTES_MAX) }),
    text: printable(error.message, ERROR_TEXT_BYTES_MAX),
    ...(error.guestOwner === undefined ? {} : { guestOwner: error.guestOwner }),
    ...(Object.keys(detail).length === 0 ? {} : { detail }),
  };
}

/** The peer's failure as an error of this side, `side` being the peer's. */
export function errorFromBody(body: ErrorBody, side: 'source' | 'destination'): SternaError {
  const code = errorCodeFromNumber(body.code);
  const remote = code === undefined ? { remote: true, remoteCode: body.code } : { remote: true };
  return new SternaError(code ?? 'E_PROTOCOL_UNEXPECTED_MESSAGE', body.text, {
    detail: { ...body.detail, ...remote },
    side,
    ...(body.phase === undefined ? {} : { phase: body.phase }),
    ...(body.guestOwner === undefined ? {} : { guestOwner: body.guestOwner }),
  });
}

function plainDetail(detail: Readonly<Record<string, unknown>>): Record<string, Scalar> {
  const plain: Record<string, Scalar> = {};
  for (const [key, value] of Object.entries(detail).slice(0, DETAIL_COUNT_MAX)) {
    const name = printable(key, PHASE_BYTES_MAX);
    if (name === '__proto__') continue;
    if (typeof value === 'string') plain[name] = printable(value, DETAIL_TEXT_BYTES_MAX);
    else if (typeof value === 'boolean') plain[name] = value;
    else if (typeof value === 'number' && Number.isFinite(value)) plain[name] = value;
  }
  return plain;
}

/** Control characters become spaces; cut at a character's boundary to `maxBytes` of UTF-8. */
function printable(text: string, maxBytes: number): string {
  const encoded = new Uint8Array(maxBytes);
  // encodeInto never writes half a character.
  const { written } = new TextEncoder().encodeInto(text.replace(/\p{Cc}/gu, ' '), encoded);
  return new TextDecoder().decode(encoded.subarray(0, written));
}
