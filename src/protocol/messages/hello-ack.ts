import { NAME_LENGTH_MAX } from '../../base/index.ts';
import { type BodyResult, readBody, type Scalar } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { PAGE_COUNT_MAX } from '../body/page-count.ts';
import { CAPABILITY_BYTES_MAX, CAPABILITY_COUNT_MAX, PARAMETERS_BYTES_MAX } from './hello.ts';

/** The destination has built an empty machine and waits for pages. */
export interface HelloAckBody {
  readonly software: string;
  /** Those of HELLO that both sides will use. */
  readonly capabilities: readonly string[];
  /** Those of HELLO that the destination will honour, with the values it will use. */
  readonly parameters: Readonly<Record<string, Scalar>>;
  /** Pages that the destination already has; 0 in a fresh migration. */
  readonly receivedPages: number;
}

export function encodeHelloAck(body: HelloAckBody): Uint8Array {
  return packBody('HELLO_ACK', {
    software: body.software,
    capabilities: body.capabilities,
    parameters: body.parameters,
    receivedPages: body.receivedPages,
  });
}

export function decodeHelloAck(bytes: Uint8Array): BodyResult<HelloAckBody> {
  return readBody('HELLO_ACK', bytes, (fields) => ({
    software: fields.text('software', NAME_LENGTH_MAX),
    capabilities: fields.texts('capabilities', CAPABILITY_COUNT_MAX, CAPABILITY_BYTES_MAX),
    parameters: fields.scalars('parameters', PARAMETERS_BYTES_MAX),
    receivedPages: fields.integer('receivedPages', 0, PAGE_COUNT_MAX),
  }));
}
