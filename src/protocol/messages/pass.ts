import { VCPU_COUNT_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { PAGE_COUNT_MAX, UINT32_MAX } from '../body/page-count.ts';

/** A pre-copy pass, or the stop-and-copy, begins. */
export interface PassBeginBody {
  /** 1 for the first. */
  readonly pass: number;
  readonly dirtyPages: number;
}

/** How far the destination is. */
export interface ProgressBody {
  /** Of the stream, received and applied so far, headers included. */
  readonly receivedBytes: number;
  /** Page entries applied so far, each page of a zero run and each repetition counted. */
  readonly pages: number;
}

/** The guest stands still at the source. Pages that follow are the last ones. */
export interface StoppedBody {
  readonly pass: number;
  /**
   * When each vCPU last stepped, in milliseconds of the source's clock; NaN for one that never
   * did.
   */
  readonly lastStepMs: readonly number[];
  /** The source's own clock. */
  readonly pausedAtMs: number;
}

export function encodePassBegin(body: PassBeginBody): Uint8Array {
  return packBody('PASS_BEGIN', { pass: body.pass, dirtyPages: body.dirtyPages });
}

export function decodePassBegin(bytes: Uint8Array): BodyResult<PassBeginBody> {
  return readBody('PASS_BEGIN', bytes, (fields) => ({
    pass: fields.integer('pass', 1, UINT32_MAX),
    dirtyPages: fields.integer('dirtyPages', 0, PAGE_COUNT_MAX),
  }));
}

export function encodeProgress(body: ProgressBody): Uint8Array {
  return packBody('PROGRESS', { receivedBytes: body.receivedBytes, pages: body.pages });
}

export function decodeProgress(bytes: Uint8Array): BodyResult<ProgressBody> {
  return readBody('PROGRESS', bytes, (fields) => ({
    receivedBytes: fields.integer('receivedBytes', 0, Number.MAX_SAFE_INTEGER),
    pages: fields.integer('pages', 0, Number.MAX_SAFE_INTEGER),
  }));
}

export function encodeStopped(body: StoppedBody): Uint8Array {
  return packBody('STOPPED', {
    pass: body.pass,
    lastStepMs: body.lastStepMs,
    pausedAtMs: body.pausedAtMs,
  });
}

export function decodeStopped(bytes: Uint8Array): BodyResult<StoppedBody> {
  return readBody('STOPPED', bytes, (fields) => ({
    pass: fields.integer('pass', 0, UINT32_MAX),
    lastStepMs: fields.moments('lastStepMs', VCPU_COUNT_MAX),
    pausedAtMs: fields.amount('pausedAtMs'),
  }));
}
