import { VCPU_COUNT_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { EPOCH_MAX } from './hello.ts';

/**
 * The guest is the destination's from here on. Sent only after the source has recorded that it
 * gave it away.
 */
export interface GrantBody {
  /** The epoch of HELLO plus one. */
  readonly epoch: number;
}

/**
 * The destination has recorded that it owns the guest, and runs it unless it was told to stay
 * paused.
 */
export interface ResumedBody {
  readonly epoch: number;
  readonly running: boolean;
  /** Named parts of the destination's share of the downtime, in milliseconds. */
  readonly parts: Readonly<Record<string, number>>;
}

/** What the guest saw of the switch; sent when it has run for about 100 ms. */
export interface GuestStartedBody {
  /**
   * First step of each vCPU, in milliseconds of the destination's clock; NaN for one that did not
   * step.
   */
  readonly firstStepMs: readonly number[];
  /** Longest gap between two steps of one vCPU since it started here; NaN when none stepped. */
  readonly longestGapMs: number;
  /**
   * Longest gap around the switch, and its error bound; null when the clocks could not be
   * compared.
   */
  readonly guestDowntimeUs: number | null;
  readonly errorUs: number | null;
}

const PARTS_BYTES_MAX = 512;

export function encodeGrant(body: GrantBody): Uint8Array {
  return packBody('GRANT', { epoch: body.epoch });
}

export function decodeGrant(bytes: Uint8Array): BodyResult<GrantBody> {
  return readBody('GRANT', bytes, (fields) => ({ epoch: fields.integer('epoch', 1, EPOCH_MAX) }));
}

export function encodeResumed(body: ResumedBody): Uint8Array {
  return packResumed('RESUMED', body);
}

export function decodeResumed(bytes: Uint8Array): BodyResult<ResumedBody> {
  return readResumed('RESUMED', bytes);
}

/** As RESUMED, while pages are missing: from here on they may be asked for. */
export function encodePostcopyResumed(body: ResumedBody): Uint8Array {
  return packResumed('POSTCOPY_RESUMED', body);
}

export function decodePostcopyResumed(bytes: Uint8Array): BodyResult<ResumedBody> {
  return readResumed('POSTCOPY_RESUMED', bytes);
}

type ResumedName = 'RESUMED' | 'POSTCOPY_RESUMED';

function packResumed(name: ResumedName, body: ResumedBody): Uint8Array {
  return packBody(name, { epoch: body.epoch, running: body.running, parts: body.parts });
}

function readResumed(name: ResumedName, bytes: Uint8Array): BodyResult<ResumedBody> {
  return readBody(name, bytes, (fields) => ({
    epoch: fields.integer('epoch', 1, EPOCH_MAX),
    running: fields.boolean('running'),
    parts: fields.amounts('parts', PARTS_BYTES_MAX),
  }));
}

export function encodeGuestStarted(body: GuestStartedBody): Uint8Array {
  return packBody('GUEST_STARTED', {
    firstStepMs: body.firstStepMs,
    longestGapMs: body.longestGapMs,
    guestDowntimeUs: body.guestDowntimeUs,
    errorUs: body.errorUs,
  });
}

export function decodeGuestStarted(bytes: Uint8Array): BodyResult<GuestStartedBody> {
  return readBody('GUEST_STARTED', bytes, (fields) => ({
    firstStepMs: fields.moments('firstStepMs', VCPU_COUNT_MAX),
    longestGapMs: fields.moment('longestGapMs'),
    guestDowntimeUs: fields.amountOrNull('guestDowntimeUs'),
    errorUs: fields.amountOrNull('errorUs'),
  }));
}
