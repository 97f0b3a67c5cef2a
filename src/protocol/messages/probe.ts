import { PROBE_BYTES_MAX, PROBE_MS_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';

/**
 * First message of a connection that carries no guest: what would a migration find here? Nothing
 * of the destination changes by it.
 */
export interface ProbeBody {
  readonly protocol: number;
  /** For which PROBE_DATA is to come, milliseconds. */
  readonly durationMs: number;
}

/** The destination counts what comes, within these bounds. */
export interface ProbeAckBody {
  readonly durationMs: number;
  /** Of all PROBE_DATA together, headers included. */
  readonly bytes: number;
}

/** All PROBE_DATA was sent. */
export interface ProbeEndBody {
  /** Headers included. */
  readonly bytes: number;
}

/** What came, by the destination's clock. */
export interface ProbeResultBody {
  /** Of PROBE_DATA, headers included. */
  readonly receivedBytes: number;
  /** Of those the ones that came in the span that is measured: the later half of the time. */
  readonly spanBytes: number;
  /** Its length; 0 when too little came to measure one. */
  readonly spanMs: number;
}

export function encodeProbe(body: ProbeBody): Uint8Array {
  return packBody('PROBE', { protocol: body.protocol, durationMs: body.durationMs });
}

export function decodeProbe(bytes: Uint8Array): BodyResult<ProbeBody> {
  return readBody('PROBE', bytes, (fields) => ({
    protocol: fields.integer('protocol', 1, 255),
    durationMs: fields.integer('durationMs', 1, PROBE_MS_MAX),
  }));
}

export function encodeProbeAck(body: ProbeAckBody): Uint8Array {
  return packBody('PROBE_ACK', { durationMs: body.durationMs, bytes: body.bytes });
}

export function decodeProbeAck(bytes: Uint8Array): BodyResult<ProbeAckBody> {
  return readBody('PROBE_ACK', bytes, (fields) => ({
    durationMs: fields.integer('durationMs', 1, PROBE_MS_MAX),
    bytes: fields.integer('bytes', 1, PROBE_BYTES_MAX),
  }));
}

export function encodeProbeEnd(body: ProbeEndBody): Uint8Array {
  return packBody('PROBE_END', { bytes: body.bytes });
}

export function decodeProbeEnd(bytes: Uint8Array): BodyResult<ProbeEndBody> {
  return readBody('PROBE_END', bytes, (fields) => ({
    bytes: fields.integer('bytes', 0, PROBE_BYTES_MAX),
  }));
}

export function encodeProbeResult(body: ProbeResultBody): Uint8Array {
  const { receivedBytes, spanBytes, spanMs } = body;
  return packBody('PROBE_RESULT', { receivedBytes, spanBytes, spanMs });
}

export function decodeProbeResult(bytes: Uint8Array): BodyResult<ProbeResultBody> {
  return readBody('PROBE_RESULT', bytes, (fields) => ({
    receivedBytes: fields.integer('receivedBytes', 0, PROBE_BYTES_MAX),
    spanBytes: fields.integer('spanBytes', 0, PROBE_BYTES_MAX),
    spanMs: fields.amount('spanMs'),
  }));
}
