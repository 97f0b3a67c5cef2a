import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/base/index.ts';
import {
  type DumpOptions,
  dumpStream,
  encodeFrame,
  encodeHello,
  encodePageBatch,
  encodePagesFrame,
  MESSAGE_TYPES,
  type MessageName,
  type PageEntry,
} from '../../../src/protocol/index.ts';
import { HELLO, lz4Frame, sampleFrame, sampleStream } from './message-samples.ts';

/** A whole migration into a file. */
const STORY: readonly MessageName[] = [
  ...(['HELLO', 'PASS_BEGIN', 'PAGE_BATCH', 'PAGE_BATCH', 'STOPPED', 'PAGE_BATCH'] as const),
  ...(['MACHINE_STATE', 'SWITCHOVER', 'GRANT', 'VERIFY_HASHES', 'VERIFY_END', 'GOODBYE'] as const),
];
const ZERO_RUN: PageEntry = { kind: 'ZERO_RUN', pfn: 0, pages: 1 };

describe('dumpStream()', () => {
  test('dumpStream() prints a line per frame and a summary when the stream is sound', async () => {
    const { lines, summary } = await dump(sampleStream(STORY), { strict: true });
    expect(lines).toHaveLength(STORY.length + 3);
    for (const [index, name] of STORY.entries()) {
      expect(lines[index]).toMatch(new RegExp(`^[0-9a-f]{10}  #${index} +${name} +\\d+ B`));
    }
    expect(lines[2]).toContain('block 1 pfn 0-300 zero 16 raw 1 xbzrle 1 payload 4099 B');
    expect(lines[4]).toContain('"lastStepMs":[1000.125,"NaN"]');
    expect(lines[6]).toContain('"bytes":"<4 bytes>"');
    expect(lines.at(-1)).toBe('no problem found');
    expect(summary).toMatchObject({
      frames: 12,
      skippedFrames: 0,
      bytes: sampleStream(STORY).length,
      messages: { HELLO: 1, PAGE_BATCH: 3, GOODBYE: 1 },
      zeroPages: 48,
      rawPages: 3,
      xbzrlePages: 3,
      problems: [],
    });
  });

  test('dumpStream() prints the same when the stream comes in pieces', async () => {
    const stream = sampleStream(STORY);
    const whole = await dump(stream, { strict: true, pages: true });
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += 77) pieces.push(stream.subarray(at, at + 77));
    const lines: string[] = [];
    await dumpStream(asynchronous(pieces), (line) => lines.push(line), {
      strict: true,
      pages: true,
    });
    expect(lines).toEqual(whole.lines);
  });

  test('dumpStream() lists each entry when pages are asked for', async () => {
    const { lines } = await dump(sampleStream(['HELLO', 'PAGE_BATCH']), { pages: true });
    expect(lines.slice(2, 5)).toEqual([
      '    pfn 0 ZERO_RUN 16 pages',
      '    pfn 16 RAW 4096 B hash 0123456789abcdef',
      '    pfn 300 XBZRLE 3 B hash fedcba9876543210',
    ]);
  });

  test('dumpStream() tells what came as LZ4', async () => {
    const stream = Buffer.concat([sampleFrame('HELLO', 0), lz4Frame(1)]);
    const { lines, summary } = await dump(stream, { pages: true });
    expect(lines[1]).toContain('zero 0 raw 0 xbzrle 0 lz4 1 lz4-xbzrle 1 payload 30 B');
    expect(lines[2]).toBe('    pfn 17 LZ4 26 B hash 1111222233334444');
    expect(lines[3]).toBe('    pfn 301 LZ4_XBZRLE 4 B hash 0000000000000007');
    expect(summary).toMatchObject({ lz4Pages: 1, lz4XbzrlePages: 1, rawPages: 0 });
  });

  test('dumpStream() names the offset and stops when a frame is damaged', async () => {
    const stream = sampleStream(STORY);
    const offset = sampleFrame('HELLO', 0).length;
    stream[offset + 3] = 0;
    const { lines, summary } = await dump(stream);
    expect(summary.problems).toMatchObject([{ offset, error: { code: 'E_PROTOCOL_BAD_MAGIC' } }]);
    expect(lines[1]).toContain(`PROBLEM at offset ${offset} `);
    expect(lines.at(-1)).toBe('1 problem found');
    expect(summary.frames).toBe(1);
  });

  test('dumpStream() says truncated when the stream ends inside a frame', async () => {
    const stream = sampleStream(STORY);
    const { summary } = await dump(stream.subarray(0, stream.length - 1));
    expect(summary.problems).toMatchObject([{ error: { code: 'E_PROTOCOL_TRUNCATED' } }]);
  });

  test('dumpStream() finds a file complete when it ends with GRANT', async () => {
    const hello = encodeHello({ ...HELLO, duplex: false });
    const story = ['PASS_BEGIN', 'PAGE_BATCH', 'PAGE_BATCH', 'PAGE_BATCH', 'STOPPED'] as const;
    const end = ['MACHINE_STATE', 'SWITCHOVER', 'VERIFY_HASHES', 'VERIFY_END', 'GRANT'] as const;
    const frames = [...story, ...end].map((name, index) => sampleFrame(name, index + 1));
    const file = Buffer.concat([encodeFrame(MESSAGE_TYPES.HELLO, 0, hello), ...frames]);
    expect((await dump(file, { strict: true })).summary.problems).toEqual([]);
    const cut = file.subarray(0, file.length - sampleFrame('GRANT', 0).length);
    expect((await dump(cut, { strict: true })).summary.problems).toMatchObject([
      { error: { code: 'E_PROTOCOL_TRUNCATED' } },
    ]);
  });

  test('dumpStream() goes on after a malformed body when it is not strict', async () => {
    const broken = encodeFrame(MESSAGE_TYPES.PASS_BEGIN, 1, Uint8Array.of(0x80));
    const stream = Buffer.concat([sampleFrame('HELLO', 0), broken, sampleFrame('PAGE_BATCH', 2)]);
    const relaxed = await dump(stream);
    expect(relaxed.summary).toMatchObject({ frames: 3, rawPages: 1 });
    expect(relaxed.summary.problems).toHaveLength(1);
    const strict = await dump(stream, { strict: true });
    expect(strict.summary.frames).toBe(2);
    expect(strict.summary.problems[0]?.error.code).toBe('E_PROTOCOL_BAD_BODY');
  });

  test.each<[string, Uint8Array, string]>([
    [
      'messages come in the wrong order',
      sampleStream(['HELLO', 'GRANT']),
      'E_PROTOCOL_UNEXPECTED_MESSAGE',
    ],
    [
      'the conversation does not end',
      sampleStream(['HELLO', 'PASS_BEGIN']),
      'E_PROTOCOL_TRUNCATED',
    ],
    [
      'SWITCHOVER counts other batches',
      sampleStream(['HELLO', 'STOPPED', 'MACHINE_STATE', 'SWITCHOVER']),
      'E_PROTOCOL_BAD_BODY',
    ],
    ['a block was not announced', withBatch(2, ZERO_RUN), 'E_PROTOCOL_BAD_BODY'],
    [
      'a page is beyond its block',
      withBatch(1, { kind: 'ZERO_RUN', pfn: 16_383, pages: 2 }),
      'E_PROTOCOL_BAD_BODY',
    ],
  ])('dumpStream() reports when it is strict and %s', async (_what, stream, code) => {
    expect((await dump(stream)).summary.problems).toEqual([]);
    const { summary } = await dump(stream, { strict: true });
    expect(summary.problems).toMatchObject([{ error: { code } }]);
  });

  test('dumpStream() shows an unknown optional frame as skipped', async () => {
    const unknown = sampleFrame('PING', 0);
    const view = new DataView(unknown.buffer);
    view.setUint8(5, 99);
    view.setUint16(6, 1, true);
    view.setUint32(28, crc32c(unknown.subarray(0, 28)), true);
    const { lines, summary } = await dump(unknown);
    expect(lines[0]).toContain('(optional)');
    expect(summary).toMatchObject({ frames: 0, skippedFrames: 1, problems: [] });
  });

  test('dumpStream() finds nothing when there is nothing', async () => {
    const { lines, summary } = await dump(new Uint8Array(0));
    expect(lines[0]).toBe('0 frames, 0 bytes: nothing');
    expect(summary.problems).toEqual([]);
  });
});

async function dump(stream: Uint8Array, options: DumpOptions = {}) {
  const lines: string[] = [];
  const summary = await dumpStream([stream], (line) => lines.push(line), options);
  return { lines, summary };
}

function withBatch(block: number, entry: PageEntry): Uint8Array {
  const { body, checkedBytes } = encodePageBatch([entry]);
  return Buffer.concat([
    sampleStream(['HELLO', 'PASS_BEGIN']),
    encodePagesFrame(MESSAGE_TYPES.PAGE_BATCH, 2, block, body, checkedBytes),
    sampleFrame('CANCEL', 3),
  ]);
}

async function* asynchronous(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}
