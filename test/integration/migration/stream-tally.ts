import { expect } from 'vitest';
import {
  decodePageTable,
  decodePassBegin,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  messageName,
} from '../../../src/protocol/index.ts';

export interface PassTally {
  readonly pass: number;
  readonly dirtyPages: number;
  readonly stopped: boolean;
  /** Of its page batches, headers included. */
  bytes: number;
  zeroPages: number;
  rawPages: number;
  xbzrlePages: number;
}

/** What a captured stream really holds: counted frame by frame, by the plain decoder. */
export interface StreamTally {
  readonly bytes: number;
  readonly messages: ReadonlyMap<string, number>;
  readonly passes: readonly PassTally[];
  readonly zeroRuns: number;
  /** Of deltas only, without their entries in the tables. */
  readonly xbzrleBytes: number;
  /** Offsets in the stream at which these messages begin, or the end of GRANT. */
  readonly stoppedAt: number;
  readonly grantedAt: number;
}

export function tallyStream(stream: Uint8Array): StreamTally {
  const decoder = new FrameDecoder();
  const messages = new Map<string, number>();
  const passes: PassTally[] = [];
  const seen = { zeroRuns: 0, xbzrleBytes: 0, stoppedAt: 0, grantedAt: 0 };
  decoder.push(stream);
  for (let next = decoder.next(); next.kind === 'frame'; next = decoder.next()) {
    const { header, body, offset } = next;
    const name = messageName(header.type) ?? 'unknown';
    messages.set(name, (messages.get(name) ?? 0) + 1);
    if (name === 'STOPPED') seen.stoppedAt = offset;
    if (name === 'GRANT') seen.grantedAt = offset + FRAME_HEADER_BYTES + body.length;
    if (name === 'PASS_BEGIN') passes.push(emptyPass(body, seen.stoppedAt > 0));
    const pass = passes.at(-1);
    if (name !== 'PAGE_BATCH' || pass === undefined) continue;
    pass.bytes += FRAME_HEADER_BYTES + body.length;
    const table = decodePageTable(body, header.checkedBytes);
    if (table.kind === 'malformed') throw table.error;
    for (const entry of table.body) {
      if (entry.kind === 'ZERO_RUN') {
        pass.zeroPages += entry.pages;
        seen.zeroRuns += 1;
      } else if (entry.kind === 'RAW') {
        pass.rawPages += 1;
      } else {
        pass.xbzrlePages += 1;
        seen.xbzrleBytes += entry.payload.length;
      }
    }
  }
  expect(decoder.end()).toBeUndefined();
  expect(decoder.streamOffset).toBe(stream.length);
  return { bytes: stream.length, messages, passes, ...seen };
}

function emptyPass(body: Uint8Array, stopped: boolean): PassTally {
  const begin = decodePassBegin(body);
  if (begin.kind === 'malformed') throw begin.error;
  return { ...begin.body, stopped, bytes: 0, zeroPages: 0, rawPages: 0, xbzrlePages: 0 };
}
