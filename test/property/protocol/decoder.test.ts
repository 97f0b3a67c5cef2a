import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DecodeResult,
  encodeFrame,
  encodePageBatch,
  encodePagesFrame,
  FrameDecoder,
  MESSAGE_TYPES,
} from '../../../src/protocol/index.ts';
import { anyMessage } from './message-arbitraries.ts';
import { pageEntry } from './page-arbitraries.ts';

/** A frame in a form that outlives the decoder's buffer. */
type Seen = { type: number; sequence: number; offset: number; body: string };

const frames = fc
  .array(
    fc.oneof(
      anyMessage.map(({ name, bytes }) => (sequence: number) => {
        return encodeFrame(MESSAGE_TYPES[name], sequence, bytes);
      }),
      fc.array(pageEntry, { minLength: 1, maxLength: 3 }).map((entries) => (sequence: number) => {
        const { body, checkedBytes } = encodePageBatch(entries);
        return encodePagesFrame(MESSAGE_TYPES.PAGE_BATCH, sequence, 1, body, checkedBytes);
      }),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((makers) => makers.map((make, sequence) => make(sequence)));

describe('FrameDecoder', () => {
  test('next() returns the same frames however the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 5000 })), (sent, sizes) => {
        const stream = Buffer.concat(sent);
        const whole = decodeAll([stream]);
        expect(whole.map((frame) => frame.sequence)).toEqual(sent.map((_, index) => index));
        expect(decodeAll(cut(stream, sizes))).toEqual(whole);
      }),
      { numRuns: 60 },
    );
  });

  test('next() says incomplete with the exact rest at every split point', () => {
    fc.assert(
      fc.property(anyMessage, ({ name, bytes }) => {
        const frame = encodeFrame(MESSAGE_TYPES[name], 0, bytes);
        const step = Math.max(1, Math.floor(frame.length / 500));
        for (let split = 0; split < frame.length; split += step) {
          const decoder = new FrameDecoder();
          decoder.push(frame.subarray(0, split));
          const first = decoder.next();
          const missingBytes = (split < 32 ? 32 : frame.length) - split;
          expect(first).toEqual({ kind: 'incomplete', missingBytes });
          decoder.push(frame.subarray(split));
          expect(seen(decoder.next())).toEqual(seenOf(MESSAGE_TYPES[name], bytes));
          expect(decoder.end()).toBeUndefined();
        }
      }),
      { numRuns: 25 },
    );
  });

  test('next() says malformed when one bit of a control frame is flipped', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), fc.nat({ max: 7 }), (message, at, bit) => {
        const frame = encodeFrame(MESSAGE_TYPES[message.name], 0, message.bytes);
        const index = at % frame.length;
        frame[index] = (frame[index] as number) ^ (1 << bit);
        const decoder = new FrameDecoder();
        decoder.push(frame);
        expect(decoder.next().kind).toBe('malformed');
      }),
    );
  });
});

function decodeAll(chunks: readonly Uint8Array[]): Seen[] {
  const decoder = new FrameDecoder();
  const all: Seen[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let result = decoder.next(); result.kind !== 'incomplete'; result = decoder.next()) {
      all.push(seen(result));
    }
  }
  expect(decoder.end()).toBeUndefined();
  return all;
}

function seen(result: DecodeResult): Seen {
  if (result.kind !== 'frame') throw new Error(`Expected a frame, got ${result.kind}`);
  const { header, body, offset } = result;
  const { type, sequence } = header;
  return { type, sequence, offset, body: Buffer.from(body).toString('hex') };
}

function seenOf(type: number, body: Uint8Array): Seen {
  return { type, sequence: 0, offset: 0, body: Buffer.from(body).toString('hex') };
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size));
    at = Math.min(bytes.length, at + size);
  }
  return [...chunks, bytes.subarray(at)];
}
