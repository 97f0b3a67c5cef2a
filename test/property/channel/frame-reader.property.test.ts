import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { SternaError } from '../../../src/base/index.ts';
import { crc32c } from '../../../src/base/index.ts';
import { FrameReader, feed } from '../../../src/channel/index.ts';
import {
  FRAME_HEADER_BYTES,
  MESSAGE_TYPES,
  type MessageType,
  writeHeader,
} from '../../../src/protocol/index.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const UNKNOWN_TYPE = 200;

const { PAGE_BATCH, MACHINE_STATE, HELLO } = MESSAGE_TYPES;

/**
 * Types whose cap admits bodies of any length used here; the unknown one is skipped by the reader.
 */
const frames = fc.array(
  fc
    .record({
      type: fc.constantFrom<number>(PAGE_BATCH, MACHINE_STATE, HELLO, UNKNOWN_TYPE),
      body: fc.oneof(
        fc.uint8Array({ maxLength: 3 }),
        fc.uint8Array({ minLength: 28, maxLength: 36 }),
        fc.uint8Array({ maxLength: 2000 }),
      ),
      uncheckedShare: fc.double({ min: 0, max: 1, noNaN: true }),
      block: fc.nat(65_535),
    })
    // Only pages have a block, and a body that is not checked whole.
    .map((frame) =>
      frame.type === PAGE_BATCH ? frame : { ...frame, uncheckedShare: 0, block: 0 },
    ),
  { minLength: 1, maxLength: 12 },
);
const pieces = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });

type GeneratedFrame = typeof frames extends fc.Arbitrary<(infer Frame)[]> ? Frame : never;

test('FrameReader delivers the same frames when the stream comes in any pieces', () => {
  fc.assert(
    fc.property(frames, pieces, (generated, lengths) => {
      const { sink, errors, reader } = openReader();
      feedPieces(reader, streamOf(generated), lengths);
      expect(errors).toEqual([]);
      expect(reader.end()).toBeUndefined();
      expect(delivered(sink)).toEqual(expectedOf(generated));
    }),
  );
});

test('FrameReader.end() is E_PROTOCOL_TRUNCATED at every split point inside a frame', () => {
  fc.assert(
    fc.property(frames, (generated) => {
      const stream = streamOf(generated);
      const ends = new Set(frameEnds(generated));
      const splits = Array.from({ length: Math.min(stream.length, 200) }, (_, index) => index);
      for (const split of [...splits, ...ends]) {
        const { errors, reader } = openReader();
        feed(reader, stream.subarray(0, split));
        const code = ends.has(split) || split === 0 ? undefined : 'E_PROTOCOL_TRUNCATED';
        expect([reader.end()?.code, errors]).toEqual([code, []]);
      }
    }),
    { numRuns: 30 },
  );
});

test('FrameReader never asks for more than the rest of the body and one header', () => {
  fc.assert(
    fc.property(frames, pieces, (generated, lengths) => {
      const { reader } = openReader();
      const stream = streamOf(generated);
      const ends = frameEnds(generated);
      let piece = 0;
      for (let at = 0; at < stream.length; ) {
        const asked = reader.buffer().length;
        const frameEnd = ends.find((end) => end > at) ?? stream.length;
        expect(asked).toBeGreaterThan(0);
        expect(asked).toBeLessThanOrEqual(frameEnd - at + FRAME_HEADER_BYTES);
        const count = Math.min(asked, lengths[piece % lengths.length] ?? 1, stream.length - at);
        reader.buffer().set(stream.subarray(at, at + count));
        reader.callback(count);
        at += count;
        piece += 1;
      }
    }),
  );
});

test('FrameReader fails at most once and keeps what came before a wrong byte', () => {
  fc.assert(
    fc.property(frames, pieces, fc.nat(), fc.nat(7), (generated, lengths, where, bit) => {
      const stream = streamOf(generated);
      const at = where % stream.length;
      stream[at] = (stream[at] ?? 0) ^ (1 << bit);
      const { sink, errors, reader } = openReader();
      feedPieces(reader, stream, lengths);
      expect(errors.length).toBeLessThanOrEqual(1);
      const damaged = frameEnds(generated).findIndex((end) => end > at);
      const before = expectedOf(generated).filter(({ sequence }) => sequence < damaged);
      expect(delivered(sink).slice(0, before.length)).toEqual(before);
      // A damaged header is always found: its own checksum covers it.
      const bodyBytes = generated[damaged]?.body.length ?? 0;
      const inHeader = (frameEnds(generated)[damaged] ?? 0) - bodyBytes > at;
      if (inHeader) expect([errors.length, sink.frames.length]).toEqual([1, before.length]);
    }),
  );
});

test('FrameReader survives any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), pieces, (bytes, lengths) => {
      const { sink, errors, reader } = openReader();
      feedPieces(reader, bytes, lengths);
      expect(sink.frames).toEqual([]);
      expect(errors.map(({ code }) => code)).toEqual(
        bytes.length < FRAME_HEADER_BYTES ? [] : ['E_PROTOCOL_BAD_MAGIC'],
      );
    }),
  );
});

function openReader() {
  const errors: SternaError[] = [];
  const sink = new RecordingSink();
  const reader = new FrameReader((error) => errors.push(error));
  reader.start(sink, false);
  return { errors, sink, reader };
}

function feedPieces(reader: FrameReader, stream: Uint8Array, lengths: readonly number[]): void {
  let piece = 0;
  for (let at = 0; at < stream.length; piece += 1) {
    const length = lengths[piece % lengths.length] ?? 1;
    if (!feed(reader, stream.subarray(at, at + length))) return;
    at += length;
  }
}

function streamOf(generated: readonly GeneratedFrame[]): Uint8Array {
  return Buffer.concat(
    generated.map(({ type, body, uncheckedShare, block }, sequence) => {
      const checkedBytes = Math.ceil((1 - uncheckedShare) * body.length);
      const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
      frame.set(body, FRAME_HEADER_BYTES);
      writeHeader(frame, {
        // The unknown type is deliberate.
        type: type as MessageType,
        optional: type === UNKNOWN_TYPE,
        bodyBytes: body.length,
        checkedBytes,
        sequence,
        block,
        checkedCrc: crc32c(body.subarray(body.length - checkedBytes)),
      });
      return frame;
    }),
  );
}

function frameEnds(generated: readonly GeneratedFrame[]): number[] {
  let end = 0;
  return generated.map(({ body }) => {
    end += FRAME_HEADER_BYTES + body.length;
    return end;
  });
}

function delivered(sink: RecordingSink) {
  return sink.frames.map(({ header, body }) => ({
    type: header.type as number,
    sequence: header.sequence,
    block: header.block,
    body: [...body],
  }));
}

function expectedOf(generated: readonly GeneratedFrame[]) {
  return generated
    .map(({ type, body, block }, sequence) => ({ type, sequence, block, body: [...body] }))
    .filter(({ type }) => type !== UNKNOWN_TYPE);
}
