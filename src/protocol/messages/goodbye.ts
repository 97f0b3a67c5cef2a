import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';

/** The source has all that it wanted to know; the stream ends here, on purpose. */
export type GoodbyeBody = Readonly<Record<string, never>>;

export function encodeGoodbye(_body: GoodbyeBody = {}): Uint8Array {
  return packBody('GOODBYE', {});
}

export function decodeGoodbye(bytes: Uint8Array): BodyResult<GoodbyeBody> {
  return readBody('GOODBYE', bytes, () => ({}));
}
