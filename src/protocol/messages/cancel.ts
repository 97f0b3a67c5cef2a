import { ERROR_TEXT_BYTES_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';

/** The source's user changed his mind. Only before GRANT. */
export interface CancelBody {
  readonly reason: string;
}

export function encodeCancel(body: CancelBody): Uint8Array {
  return packBody('CANCEL', { reason: body.reason });
}

export function decodeCancel(bytes: Uint8Array): BodyResult<CancelBody> {
  return readBody('CANCEL', bytes, (fields) => ({
    reason: fields.text('reason', ERROR_TEXT_BYTES_MAX),
  }));
}
