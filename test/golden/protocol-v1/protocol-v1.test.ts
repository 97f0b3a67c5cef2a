import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  CONTROL_DECODERS,
  type ControlName,
  decodePageMap,
  decodePageTable,
  decodeVerifyHashes,
  FrameDecoder,
  MESSAGE_TYPES,
  type MessageName,
} from '../../../src/protocol/index.ts';
import { decodeLz4 } from '../../reference/lz4.ts';
import {
  LZ4_ENTRIES,
  lz4Frame,
  PAGE_MAP,
  sampleFrame,
} from '../../unit/protocol/message-samples.ts';

/**
 * The bytes of every message of protocol version 1. Round trips alone would not notice if both
 * ends changed alike. A difference here means that released peers are cut off: raise the protocol
 * version, do not record again. `npm run golden:record` writes the files of new messages.
 */
const FOLDER = new URL('.', import.meta.url);
const SEQUENCE = 5;
const NAMES = Object.keys(MESSAGE_TYPES) as MessageName[];

// Only what is not there yet: a recorded file is changed by hand, with a reason.
if (process.env.GOLDEN_RECORD === '1') {
  for (const name of NAMES) {
    if (!existsSync(fileOf(name))) {
      writeFileSync(fileOf(name), toText(sampleFrame(name, SEQUENCE)));
    }
  }
}

describe('protocol version 1', () => {
  test.each(NAMES)('encode of %s emits the recorded bytes', (name) => {
    expect(toText(sampleFrame(name, SEQUENCE))).toBe(readFileSync(fileOf(name), 'utf8'));
  });

  test('encode of a batch of LZ4 emits the recorded bytes, and they decode', () => {
    const frame = lz4Frame(SEQUENCE);
    const file = new URL('page-batch.lz4', FOLDER);
    if (process.env.GOLDEN_RECORD === '1' && !existsSync(file)) writeFileSync(file, toText(frame));
    expect(toText(frame)).toBe(readFileSync(file, 'utf8'));
    const decoder = decoderAt(SEQUENCE);
    decoder.push(fromText(readFileSync(file, 'utf8')));
    const result = decoder.next();
    if (result.kind !== 'frame') throw new Error(result.kind);
    const decoded = decodePageTable(result.body, result.header.checkedBytes);
    if (decoded.kind !== 'ok') throw decoded.error;
    const entries = decoded.body.map((entry) =>
      entry.kind === 'ZERO_RUN' ? entry : { ...entry, payload: Uint8Array.from(entry.payload) },
    );
    expect(entries).toEqual(LZ4_ENTRIES);
    const [page, delta] = LZ4_ENTRIES.map((entry) =>
      entry.kind === 'ZERO_RUN' ? undefined : decodeLz4(entry.payload, 4096),
    );
    expect(page).toEqual(new Uint8Array(4096).fill(0x61));
    expect(Buffer.from(delta ?? []).toString('hex')).toBe('7f0101');
  });

  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.hex'));

  test.each(files)('decode of %s still works', (file) => {
    const frame = fromText(readFileSync(new URL(file, FOLDER), 'utf8'));
    const decoder = decoderAt(SEQUENCE);
    decoder.push(frame);
    const result = decoder.next();
    if (result.kind !== 'frame') throw new Error(result.kind);
    const name = file.replace('.hex', '').replaceAll('-', '_').toUpperCase() as MessageName;
    expect(result.header.type).toBe(MESSAGE_TYPES[name]);
    const decoded = decodeBody(name, result.body, result.header.checkedBytes);
    expect(decoded.kind).toBe('ok');
    expect(decoder.end()).toBeUndefined();
  });

  test('every message has a golden file', () => {
    expect(files).toHaveLength(NAMES.length);
  });
});

function fileOf(name: MessageName): URL {
  return new URL(`${name.toLowerCase().replaceAll('_', '-')}.hex`, FOLDER);
}

/** A decoder that has seen `sequence` frames. */
function decoderAt(sequence: number): FrameDecoder {
  const decoder = new FrameDecoder();
  for (let index = 0; index < sequence; index += 1) {
    decoder.push(sampleFrame('GOODBYE', index));
    decoder.next();
  }
  return decoder;
}

function decodeBody(name: MessageName, body: Uint8Array, checkedBytes: number) {
  if (name === 'PAGE_BATCH' || name === 'JOURNAL_PAGES') return decodePageTable(body, checkedBytes);
  if (name === 'VERIFY_HASHES') return decodeVerifyHashes(body);
  if (name === 'MISSING_MAP' || name === 'RECEIVED_MAP') {
    return decodePageMap(name, body, PAGE_MAP.pageCount);
  }
  if (name === 'PROBE_DATA') return { kind: 'ok', body };
  return CONTROL_DECODERS[name as ControlName](body);
}

/** 32 bytes a line: the first line is the header. */
function toText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `${(hex.match(/.{1,64}/g) ?? []).join('\n')}\n`;
}

function fromText(text: string): Uint8Array {
  return Buffer.from(text.replaceAll('\n', ''), 'hex');
}
