/**
 * What of the next frame becomes LZ4. Pure: no clock, no I/O, so that a table can test it and a
 * trace can replay it.
 *
 * The sending thread, the helpers and the link work at the same time, so a page takes as long as
 * the slowest of them needs for it. LZ4 pays where the link is the slowest by a margin; where the
 * link has most of the time anyhow, it costs nothing to try each page, and pages that do not get
 * shorter are found one by one.
 */
export interface CodecMeasurements {
  /**
   * Of the link, or the limit that the user set. Undefined while nothing is known; infinite when
   * the link was not what the sender waited for.
   */
  readonly linkBytesPerMs: number | undefined;
  /** What the sending thread needs for a page that is not compressed. */
  readonly gatherMsPerPage: number;
  /** 0: the sending thread compresses. */
  readonly helpers: number;
  /** Undefined until one was tried. */
  readonly pages: EncoderMeasurement | undefined;
  readonly deltas: EncoderMeasurement | undefined;
}

/** Means of what was tried lately. */
export interface EncoderMeasurement {
  readonly msEach: number;
  /** On the wire, the entry of the page table included. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface CodecDecision {
  readonly pages: boolean;
  readonly deltas: boolean;
  /** A long delta gives way to LZ4 of its page where that is shorter. */
  readonly shortest: boolean;
}

export const NOTHING: CodecDecision = { pages: false, deltas: false, shortest: false };

/**
 * It begins where it saves a fifth of the time, for on a busy host what seems slow may be a peer
 * that has no processor, and ends where it saves nothing worth naming.
 */
const BEGIN_FACTOR = 0.8;
const STAY_FACTOR = 0.98;
/** Of the time that the link needs: an encoder that takes no more is never waited for. */
const FREE_SHARE = 0.1;

export function chooseCodec(
  measured: CodecMeasurements,
  previous: CodecDecision | undefined,
): CodecDecision {
  const pages = pays(measured, measured.pages, previous?.pages);
  return {
    pages,
    deltas: pays(measured, measured.deltas, previous?.deltas),
    // It is tried twice, and in the sending thread.
    shortest: pages && isFree(measured, measured.pages, 2),
  };
}

/** An encoder that the link gives all the time it wants. */
function isFree(
  { linkBytesPerMs, gatherMsPerPage }: CodecMeasurements,
  encoder: EncoderMeasurement | undefined,
  times: number,
): boolean {
  if (linkBytesPerMs === undefined || encoder === undefined) return false;
  const plainMs = encoder.bytesBefore / linkBytesPerMs;
  const encoderMs = encoder.msEach * times;
  return gatherMsPerPage + encoderMs <= plainMs && encoderMs <= plainMs * FREE_SHARE;
}

function pays(
  measured: CodecMeasurements,
  encoder: EncoderMeasurement | undefined,
  isOn: boolean | undefined,
): boolean {
  const { linkBytesPerMs, gatherMsPerPage, helpers } = measured;
  if (linkBytesPerMs === Number.POSITIVE_INFINITY) return false;
  // A few frames tell what it gains, and the link may be a slow one.
  if (encoder === undefined) return true;
  const { msEach, bytesBefore, bytesAfter } = encoder;
  if (linkBytesPerMs === undefined) return bytesAfter < bytesBefore * BEGIN_FACTOR;
  const plainMs = Math.max(gatherMsPerPage, bytesBefore / linkBytesPerMs);
  if (isFree(measured, encoder, 1)) return true;
  const encoderMs =
    helpers > 0 ? Math.max(gatherMsPerPage, msEach / helpers) : gatherMsPerPage + msEach;
  const lz4Ms = Math.max(encoderMs, bytesAfter / linkBytesPerMs);
  return lz4Ms <= plainMs * (isOn ? STAY_FACTOR : BEGIN_FACTOR);
}
