import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, SternaError } from '../../../src/base/index.ts';
import {
  CONTROL_DECODERS,
  DESTINATION_ACCEPTS,
  type DestinationState,
  decodePageMap,
  decodePageTable,
  decodeVerifyHashes,
  dumpStream,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  type FrameHeader,
  MESSAGE_TYPES,
  type MessageName,
  messageName,
  nextState,
  PAGE_BATCH_BYTES_MAX,
  SOURCE_ACCEPTS,
  type SourceState,
} from '../../../src/protocol/index.ts';
import { sampleStream } from '../../unit/protocol/message-samples.ts';
import { FUZZ_RUNS, fuzzSettings } from '../fuzz-settings.ts';

const RUNS = FUZZ_RUNS;
const BUFFER_BYTES_MAX = FRAME_HEADER_BYTES + PAGE_BATCH_BYTES_MAX;
const NAMES = Object.keys(MESSAGE_TYPES) as MessageName[];
const CORPUS = new URL('./corpus/', import.meta.url);

const chunkSizes = fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 20 });
const names = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 5 });
/** Where, and what is written there. */
const edits = fc.array(fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 })), {
  minLength: 1,
  maxLength: 4,
});

describe('protocol under hostile bytes', () => {
  test('FrameDecoder says only typed errors and stays small when bytes are random', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), chunkSizes, readAll),
      fuzzSettings(RUNS),
    );
  });

  test('FrameDecoder says only typed errors when a sound stream was damaged', () => {
    fc.assert(
      fc.property(names, edits, chunkSizes, (sent, changes, sizes) => {
        readAll(edited(sampleStream(sent), changes), sizes);
      }),
      fuzzSettings(RUNS),
    );
  });

  test('body decoders say only typed errors when a body was damaged under right checksums', () => {
    fc.assert(
      fc.property(names, edits, chunkSizes, (sent, changes, sizes) => {
        const stream = sampleStream(sent);
        readAll(resealed(edited(stream, changes), stream), sizes);
      }),
      fuzzSettings(RUNS),
    );
  });

  test('control decoders never throw when the body is any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const decode of Object.values(CONTROL_DECODERS)) expectTyped(decode(bytes));
      }),
      fuzzSettings(RUNS),
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('both conversations say only typed errors when messages come in any order', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...NAMES), { maxLength: 40 }), (messages) => {
        let source: SourceState = 'connected';
        let destination: DestinationState = 'connected';
        for (const message of messages) {
          const atSource: SourceState | SternaError = nextState(SOURCE_ACCEPTS, source, message);
          if (!(atSource instanceof SternaError)) source = atSource;
          else expect(atSource.code).toBe('E_PROTOCOL_UNEXPECTED_MESSAGE');
          const there: DestinationState | SternaError = nextState(
            DESTINATION_ACCEPTS,
            destination,
            message,
          );
          if (!(there instanceof SternaError)) destination = there;
          else expect(there.code).toBe('E_PROTOCOL_UNEXPECTED_MESSAGE');
        }
      }),
      fuzzSettings(RUNS),
    );
  });

  test('dumpStream() never throws when the stream is damaged under right checksums', async () => {
    await fc.assert(
      fc.asyncProperty(names, edits, fc.boolean(), async (sent, changes, strict) => {
        const stream = sampleStream(sent);
        const damaged = resealed(edited(stream, changes), stream);
        const summary = await dumpStream([damaged], () => {}, { strict, pages: true });
        for (const { error } of summary.problems) expect(error.code).toMatch(/^E_PROTOCOL_/);
      }),
      fuzzSettings(RUNS / 5),
    );
  });

  // Each file says on its first line which error the stream must end in (or `none`), then why it
  // is there.
  test.each(readdirSync(CORPUS))('corpus/%s ends in the error that it names', async (file) => {
    const [first = '', ...rest] = readFileSync(new URL(file, CORPUS), 'utf8').split('\n');
    const expected = /^# expect: (\w+)$/.exec(first)?.[1];
    const hex = rest.filter((line) => !line.startsWith('#')).join('');
    const stream = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
    expect(stream.length).toBeGreaterThan(0);
    const summary = await dumpStream([stream], () => {});
    expect(summary.problems[0]?.error.code ?? 'none').toBe(expected);
    readAll(stream, [1, 2, 3, 31, 32, 33]);
  });
});

/**
 * Decodes `bytes`, cut into `sizes`, to the end or the first error, and checks all that is
 * promised.
 */
function readAll(bytes: Uint8Array, sizes: readonly number[]): void {
  const decoder = new FrameDecoder();
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    decoder.push(bytes.subarray(at, at + size));
    at = Math.min(bytes.length, at + size);
    for (let result = decoder.next(); result.kind !== 'incomplete'; result = decoder.next()) {
      expect(decoder.bufferBytes).toBeLessThanOrEqual(Math.min(BUFFER_BYTES_MAX, 2 * at + 4096));
      if (result.kind === 'malformed') {
        expectTyped(result);
        return;
      }
      if (result.kind === 'frame') readBody(result.header, result.body);
    }
    expect(decoder.bufferBytes).toBeLessThanOrEqual(Math.min(BUFFER_BYTES_MAX, 2 * at + 4096));
  }
}

function readBody(header: FrameHeader, body: Uint8Array): void {
  const name = messageName(header.type);
  if (name === undefined) throw new Error('A frame without a name was let through');
  if (name === 'PAGE_BATCH' || name === 'JOURNAL_PAGES')
    expectTyped(decodePageTable(body, header.checkedBytes));
  else if (name === 'VERIFY_HASHES') expectTyped(decodeVerifyHashes(body));
  else if (name === 'MISSING_MAP' || name === 'RECEIVED_MAP') {
    expectTyped(decodePageMap(name, body, 20));
  } else if (name !== 'PROBE_DATA') expectTyped(CONTROL_DECODERS[name](body));
}

function expectTyped(result: { kind: string; error?: unknown }): void {
  if (result.kind === 'ok') return;
  expect(result.error).toBeInstanceOf(SternaError);
  expect((result.error as SternaError).code).toMatch(/^E_PROTOCOL_/);
}

function edited(bytes: Uint8Array, changes: readonly [number, Uint8Array][]): Uint8Array {
  const copy = new Uint8Array(bytes);
  for (const [at, patch] of changes) {
    const index = at % copy.length;
    copy.set(patch.subarray(0, copy.length - index), index);
  }
  return copy;
}

/**
 * Puts the headers of `original` back and makes every checksum right, so that only the bodies are
 * damaged.
 */
function resealed(damaged: Uint8Array, original: Uint8Array): Uint8Array {
  const view = new DataView(damaged.buffer, damaged.byteOffset);
  for (let at = 0; at < damaged.length; ) {
    damaged.set(original.subarray(at, at + FRAME_HEADER_BYTES), at);
    const bodyEnd = at + FRAME_HEADER_BYTES + view.getUint32(at + 8, true);
    const checked = damaged.subarray(bodyEnd - view.getUint32(at + 12, true), bodyEnd);
    view.setUint32(at + 24, crc32c(checked), true);
    view.setUint32(at + 28, crc32c(damaged.subarray(at, at + 28)), true);
    at = bodyEnd;
  }
  return damaged;
}
