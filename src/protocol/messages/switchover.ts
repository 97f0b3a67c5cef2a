import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { PAGE_COUNT_MAX, UINT32_MAX } from '../body/page-count.ts';
import { EPOCH_MAX } from './hello.ts';

/**
 * Everything was sent. The destination loads the machine state, checks that nothing is missing,
 * and answers.
 */
export interface SwitchoverBody {
  /** Pages of RAM accounted for: all of them. The destination compares with its received map. */
  readonly pages: number;
  /** PAGE_BATCH frames sent since HELLO. */
  readonly batches: number;
  /** The hashes of all pages follow, and must be compared before GRANT. */
  readonly strictVerify: boolean;
  /** An operator had stopped the guest: it arrives, and does not start. */
  readonly paused: boolean;
  /**
   * Post-copy: this many pages, told by MISSING_MAP, come when the guest runs at the destination.
   * Absent: all have come.
   */
  readonly missingPages?: number;
}

/** The destination could run the guest now, and waits for GRANT. */
export interface SwitchoverAckBody {
  /** The epoch that GRANT will have to name. */
  readonly epoch: number;
  /** How long loading took. */
  readonly loadMs: number;
}

export function encodeSwitchover(body: SwitchoverBody): Uint8Array {
  return packBody('SWITCHOVER', {
    pages: body.pages,
    batches: body.batches,
    strictVerify: body.strictVerify,
    paused: body.paused,
    ...(body.missingPages === undefined ? {} : { missingPages: body.missingPages }),
  });
}

export function decodeSwitchover(bytes: Uint8Array): BodyResult<SwitchoverBody> {
  return readBody('SWITCHOVER', bytes, (fields) => ({
    pages: fields.integer('pages', 0, PAGE_COUNT_MAX),
    batches: fields.integer('batches', 0, UINT32_MAX),
    strictVerify: fields.boolean('strictVerify'),
    paused: fields.boolean('paused'),
    ...(fields.has('missingPages')
      ? { missingPages: fields.integer('missingPages', 0, PAGE_COUNT_MAX) }
      : {}),
  }));
}

export function encodeSwitchoverAck(body: SwitchoverAckBody): Uint8Array {
  return packBody('SWITCHOVER_ACK', { epoch: body.epoch, loadMs: body.loadMs });
}

export function decodeSwitchoverAck(bytes: Uint8Array): BodyResult<SwitchoverAckBody> {
  return readBody('SWITCHOVER_ACK', bytes, (fields) => ({
    epoch: fields.integer('epoch', 1, EPOCH_MAX),
    loadMs: fields.amount('loadMs'),
  }));
}
