/**
 * What a client of a guest's service and the service say to each other, over TCP. A connection asks
 * one thing at a time; numbers are little-endian.
 *
 *   request   u32 service · u32 session · u32 number · u32 zero
 *   answer    u32 status · u32 session · u32 number · u32 length · length bytes
 *
 * Both services are idempotent: a client that loses its connection asks again on another one, also
 * at another address.
 *
 * - `stream`: session is the channel (a vCPU), number the frame, or NEWEST. `done` with a frame's
 *   bytes, as soon as there is such a frame; `gone` with the oldest frame that still is; `refused`
 *   with the next frame, when more than a ring's frames would have to be made before that one.
 * - `erp`: number is that of the session's transaction, one more than its last. `done` when it is
 *   committed, now or before; `refused` with the session's last committed transaction.
 */
export const SERVICE = { stream: 1, erp: 2 } as const;
export type ServiceName = keyof typeof SERVICE;

export const ANSWER_STATUS = { done: 0, gone: 1, refused: 2 } as const;
export type AnswerStatus = keyof typeof ANSWER_STATUS;

/** Number of a request for the newest frame. */
export const NEWEST = 2 ** 32 - 1;

export const REQUEST_BYTES = 16;
export const ANSWER_HEADER_BYTES = 16;
/** A frame of a stream at most. */
const ANSWER_BODY_BYTES_MAX = 2 ** 20;

export interface ServiceRequest {
  readonly service: ServiceName;
  readonly session: number;
  readonly number: number;
}

export interface ServiceAnswer {
  readonly status: AnswerStatus;
  readonly session: number;
  readonly number: number;
  readonly body: Uint8Array;
}

export interface AnswerHeader extends Omit<ServiceAnswer, 'body'> {
  readonly length: number;
}

export function encodeRequest({ service, session, number }: ServiceRequest): Uint8Array {
  return fourWords(SERVICE[service], session, number, 0);
}

/** Undefined when no request looks like that. */
export function decodeRequest(bytes: Uint8Array): ServiceRequest | undefined {
  const [code, session = 0, number = 0, zero] = wordsOf(bytes);
  const service = (Object.keys(SERVICE) as ServiceName[]).find((name) => SERVICE[name] === code);
  return service === undefined || zero !== 0 ? undefined : { service, session, number };
}

export function encodeAnswer({ status, session, number, body }: ServiceAnswer): Uint8Array {
  return Buffer.concat([fourWords(ANSWER_STATUS[status], session, number, body.length), body]);
}

/** Undefined when no answer begins like that, or it would be longer than any is. */
export function decodeAnswerHeader(bytes: Uint8Array): AnswerHeader | undefined {
  const [code = -1, session = 0, number = 0, length = 0] = wordsOf(bytes);
  const status = statusOf(code);
  if (status === undefined || length > ANSWER_BODY_BYTES_MAX) return undefined;
  return { status, session, number, length };
}

export function statusOf(code: number): AnswerStatus | undefined {
  const names = Object.keys(ANSWER_STATUS) as AnswerStatus[];
  return names.find((name) => ANSWER_STATUS[name] === code);
}

function fourWords(...words: readonly [number, number, number, number]): Uint8Array {
  const bytes = Buffer.alloc(16);
  for (const [index, word] of words.entries()) bytes.writeUInt32LE(word, index * 4);
  return bytes;
}

function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, REQUEST_BYTES);
  return [0, 4, 8, 12].map((at) => view.getUint32(at, true));
}
