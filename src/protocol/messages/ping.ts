import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { UINT32_MAX } from '../body/page-count.ts';

/** Asks for a PONG: to see that the peer lives, and to learn the offset between the clocks. */
export interface PingBody {
  readonly id: number;
  /** The sender's clock when it sent. */
  readonly timeMs: number;
}

export interface PongBody extends PingBody {
  /** The answering side's clock; `id` and `timeMs` are echoed. */
  readonly peerTimeMs: number;
}

export function encodePing(body: PingBody): Uint8Array {
  return packBody('PING', { id: body.id, timeMs: body.timeMs });
}

export function decodePing(bytes: Uint8Array): BodyResult<PingBody> {
  return readBody('PING', bytes, (fields) => ({
    id: fields.integer('id', 0, UINT32_MAX),
    timeMs: fields.amount('timeMs'),
  }));
}

export function encodePong(body: PongBody): Uint8Array {
  return packBody('PONG', { id: body.id, timeMs: body.timeMs, peerTimeMs: body.peerTimeMs });
}

export function decodePong(bytes: Uint8Array): BodyResult<PongBody> {
  return readBody('PONG', bytes, (fields) => ({
    id: fields.integer('id', 0, UINT32_MAX),
    timeMs: fields.amount('timeMs'),
    peerTimeMs: fields.amount('peerTimeMs'),
  }));
}
