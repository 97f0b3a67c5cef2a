import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/base/index.ts';
import {
  encodeFrame,
  encodePagesFrame,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  MESSAGE_TYPES,
} from '../../../src/protocol/index.ts';
import { sampleFrame, sampleStream } from './message-samples.ts';

describe('FrameDecoder', () => {
  test('next() says malformed at once when a header announces 4 GiB', () => {
    const header = rewritten(sampleFrame('HELLO', 0), (view) => {
      view.setUint32(8, 2 ** 32 - 1, true);
    }).subarray(0, FRAME_HEADER_BYTES);
    const decoder = new FrameDecoder();
    decoder.push(header);
    expect(decoder.next()).toMatchObject({
      kind: 'malformed',
      offset: 0,
      error: { code: 'E_PROTOCOL_FRAME_TOO_LONG', detail: { bodyBytes: 4_294_967_295 } },
    });
    expect(decoder.bufferBytes).toBe(0);
  });

  test('push() sets aside no more than twice what came when a long body is announced', () => {
    const frame = encodePagesFrame(MESSAGE_TYPES.PAGE_BATCH, 0, 0, new Uint8Array(2 ** 20), 16);
    const decoder = new FrameDecoder();
    decoder.push(frame.subarray(0, 10_000));
    expect(decoder.next().kind).toBe('incomplete');
    expect(decoder.bufferBytes).toBeLessThanOrEqual(20_000);
    decoder.push(frame.subarray(10_000));
    expect(decoder.next().kind).toBe('frame');
    expect(decoder.bufferBytes).toBeLessThanOrEqual(frame.length);
  });

  test('next() returns a view of the chunk, not a copy, when the frame lies in one chunk', () => {
    const frame = sampleFrame('MACHINE_STATE', 0);
    const decoder = new FrameDecoder();
    decoder.push(frame);
    const result = decoder.next();
    if (result.kind !== 'frame') throw new Error(result.kind);
    expect(result.body.buffer).toBe(frame.buffer);
  });

  test('next() decodes a frame that comes byte by byte', () => {
    const stream = sampleStream(['HELLO', 'PAGE_BATCH', 'GOODBYE']);
    const decoder = new FrameDecoder();
    const types: number[] = [];
    for (const byte of stream) {
      decoder.push(Uint8Array.of(byte));
      for (let result = decoder.next(); result.kind !== 'incomplete'; result = decoder.next()) {
        if (result.kind !== 'frame') throw new Error(result.kind);
        types.push(result.header.type);
      }
    }
    expect(types).toEqual([1, 8, 19]);
  });

  test.each([
    ['is repeated', [0, 0]],
    ['is left out', [0, 2]],
    ['comes out of order', [1]],
  ])('next() says malformed when a sequence number %s', (_what, sequences) => {
    const decoder = new FrameDecoder();
    decoder.push(Buffer.concat(sequences.map((sequence) => sampleFrame('PING', sequence))));
    for (let frames = 1; frames < sequences.length; frames += 1) {
      expect(decoder.next().kind).toBe('frame');
    }
    expect(decoder.next()).toMatchObject({
      kind: 'malformed',
      error: { code: 'E_PROTOCOL_SEQUENCE' },
    });
  });

  test('next() skips an unknown message when it says that it is optional', () => {
    const unknown = rewritten(sampleFrame('PING', 1), (view) => {
      view.setUint8(5, 200);
      view.setUint16(6, 1, true);
    });
    const stream = Buffer.concat([sampleFrame('PING', 0), unknown, sampleFrame('PONG', 2)]);
    const decoder = new FrameDecoder();
    decoder.push(stream);
    expect(decoder.next()).toMatchObject({ kind: 'frame', header: { sequence: 0 } });
    expect(decoder.next()).toMatchObject({ kind: 'frame', header: { sequence: 2 } });
    const reporting = new FrameDecoder({ reportSkipped: true });
    reporting.push(stream);
    reporting.next();
    expect(reporting.next()).toMatchObject({ kind: 'skipped', header: { sequence: 1 } });
  });

  test('next() refuses an unknown message by its number when it is mandatory', () => {
    const unknown = rewritten(sampleFrame('PING', 0), (view) => view.setUint8(5, 200));
    expect(only(unknown)).toMatchObject({
      kind: 'malformed',
      error: {
        code: 'E_PROTOCOL_UNKNOWN_MESSAGE',
        message: 'Unknown mandatory message type 200',
        detail: { type: 200 },
      },
    });
  });

  test.each([
    [
      'the magic is another',
      'E_PROTOCOL_BAD_MAGIC',
      (view: DataView) => view.setUint32(0, 1, true),
    ],
    ['the version is another', 'E_PROTOCOL_VERSION', (view: DataView) => view.setUint8(4, 2)],
    [
      'the type is zero, optional or not',
      'E_PROTOCOL_UNKNOWN_MESSAGE',
      (view: DataView) => {
        view.setUint8(5, 0);
        view.setUint16(6, 1, true);
      },
    ],
    ['a flag is reserved', 'E_PROTOCOL_BAD_HEADER', (view: DataView) => view.setUint16(6, 2, true)],
    [
      'a reserved byte is set',
      'E_PROTOCOL_BAD_HEADER',
      (view: DataView) => view.setUint16(22, 1, true),
    ],
    [
      'a control message names a block',
      'E_PROTOCOL_BAD_HEADER',
      (view: DataView) => view.setUint16(20, 1, true),
    ],
    [
      'a control body is not checked whole',
      'E_PROTOCOL_BAD_HEADER',
      (view: DataView) => view.setUint32(12, 1, true),
    ],
    [
      'more is checked than there is',
      'E_PROTOCOL_BAD_HEADER',
      (view: DataView) => view.setUint32(12, 2 ** 31, true),
    ],
    [
      'the checksum of the body is wrong',
      'E_PROTOCOL_CHECKSUM',
      (view: DataView) => view.setUint32(24, 0, true),
    ],
  ])('next() says malformed when %s', (_what, code, change) => {
    expect(only(rewritten(sampleFrame('PING', 0), change))).toMatchObject({
      kind: 'malformed',
      error: { code },
    });
  });

  test('next() says malformed when the header is damaged', () => {
    const frame = sampleFrame('PING', 0);
    frame[9] = 1;
    expect(only(frame)).toMatchObject({ error: { code: 'E_PROTOCOL_BAD_HEADER' } });
  });

  test('next() repeats malformed when more is pushed after it', () => {
    const decoder = new FrameDecoder();
    decoder.push(new Uint8Array(64));
    const first = decoder.next();
    decoder.push(sampleFrame('PING', 0));
    expect(decoder.next()).toBe(first);
    expect(decoder.end()?.code).toBe('E_PROTOCOL_BAD_MAGIC');
  });

  test('end() says truncated when the stream ends inside a frame', () => {
    for (const length of [1, 31, 32, 40]) {
      const decoder = new FrameDecoder();
      decoder.push(sampleFrame('HELLO', 0).subarray(0, length));
      decoder.next();
      expect(decoder.end()?.code).toBe('E_PROTOCOL_TRUNCATED');
    }
    expect(new FrameDecoder().end()).toBeUndefined();
  });

  test('next() decodes a body of zero bytes when it comes with its header alone', () => {
    const decoder = new FrameDecoder();
    decoder.push(encodeFrame(MESSAGE_TYPES.GOODBYE, 0, new Uint8Array(0)));
    expect(decoder.next()).toMatchObject({ kind: 'frame', header: { bodyBytes: 0 } });
    expect(decoder.next()).toEqual({ kind: 'incomplete', missingBytes: 32 });
  });
});

function only(frame: Uint8Array) {
  const decoder = new FrameDecoder();
  decoder.push(frame);
  return decoder.next();
}

/** A copy of `frame` with a changed header whose checksum is right again. */
function rewritten(frame: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = new Uint8Array(frame);
  const view = new DataView(copy.buffer);
  change(view);
  view.setUint32(28, crc32c(copy.subarray(0, 28)), true);
  return copy;
}
