import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { UINT32_MAX } from '../body/page-count.ts';
import { decodeMachineState, encodeMachineState, type MachineStateBody } from './machine-state.ts';

/** All of a consistent point was sent: only now it may be applied, and then whole. */
export interface JournalPointBody {
  /** Numbered from 1; one more for each that is begun on any connection. */
  readonly point: number;
  /** Page entries in its JOURNAL_PAGES, each of a zero run and each repetition counted. */
  readonly pages: number;
  /** JOURNAL_PAGES frames since the point before, or since this connection began. */
  readonly batches: number;
  /** How long ago the guest stood still for it, milliseconds. */
  readonly ageMs: number;
}

/** How far the source is with the journal. */
export interface JournalAckBody {
  /** The last whole point that it could go back to; 0: the moment of the switch. */
  readonly point: number;
  /** JOURNAL_PAGES frames that it has of the one after. */
  readonly batches: number;
}

export function encodeJournalState(body: MachineStateBody): Uint8Array {
  return encodeMachineState(body, 'JOURNAL_STATE');
}

export function decodeJournalState(bytes: Uint8Array): BodyResult<MachineStateBody> {
  return decodeMachineState(bytes, 'JOURNAL_STATE');
}

export function encodeJournalPoint({ point, pages, batches, ageMs }: JournalPointBody): Uint8Array {
  return packBody('JOURNAL_POINT', { point, pages, batches, ageMs });
}

export function decodeJournalPoint(bytes: Uint8Array): BodyResult<JournalPointBody> {
  return readBody('JOURNAL_POINT', bytes, (fields) => ({
    point: fields.integer('point', 1, UINT32_MAX),
    pages: fields.integer('pages', 0, UINT32_MAX),
    batches: fields.integer('batches', 0, UINT32_MAX),
    ageMs: fields.amount('ageMs'),
  }));
}

export function encodeJournalAck({ point, batches }: JournalAckBody): Uint8Array {
  return packBody('JOURNAL_ACK', { point, batches });
}

export function decodeJournalAck(bytes: Uint8Array): BodyResult<JournalAckBody> {
  return readBody('JOURNAL_ACK', bytes, (fields) => ({
    point: fields.integer('point', 0, UINT32_MAX),
    batches: fields.integer('batches', 0, UINT32_MAX),
  }));
}
