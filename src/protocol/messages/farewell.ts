import { ERROR_TEXT_BYTES_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';

/** The source's user changed his mind. Only before GRANT. */
export interface CancelBody {
  readonly reason: string;
}

/** The source has all that it wanted to know; the stream ends here, on purpose. */
export type GoodbyeBody = Readonly<Record<string, never>>;

export function encodeCancel(body: CancelBody): Uint8Array {
  return packBody('CANCEL', { reason: body.reason });
}

export function decodeCancel(bytes: Uint8Array): BodyResult<CancelBody> {
  return readBody('CANCEL', bytes, (fields) => ({
    reason: fields.text('reason', ERROR_TEXT_BYTES_MAX),
  }));
}

export function encodeGoodbye(_body: GoodbyeBody = {}): Uint8Array {
  return packBody('GOODBYE', {});
}

export function decodeGoodbye(bytes: Uint8Array): BodyResult<GoodbyeBody> {
  return readBody('GOODBYE', bytes, () => ({}));
}
