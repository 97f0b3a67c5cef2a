import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { SternaError } from '../../../../src/base/index.ts';
import { decodeTrace, encodeTrace } from '../../../../src/guestmem/index.ts';
import { SMALL_TRACE } from './traces.ts';

const BYTES = encodeTrace(SMALL_TRACE);

function failureOf(bytes: Uint8Array): SternaError {
  try {
    decodeTrace(bytes);
  } catch (error) {
    if (error instanceof SternaError) return error;
    throw error;
  }
  throw new Error('The trace was accepted');
}

test('a trace comes back as it was', () => {
  expect(decodeTrace(BYTES)).toEqual(SMALL_TRACE);
});

test('every truncation is refused, and says at which byte', () => {
  for (let length = 0; length < BYTES.length; length += 1) {
    const { code, detail, message } = failureOf(BYTES.subarray(0, length));
    expect(code).toBe('E_TRACE');
    expect(message).toMatch(/^Trace ends/);
    expect(detail.offsetBytes).toBeLessThanOrEqual(length);
  }
});

test('every damaged byte is refused, and says at which byte', () => {
  for (let at = 0; at < BYTES.length; at += 1) {
    const damaged = Buffer.from(BYTES);
    damaged[at] = (damaged[at] as number) ^ 0x41;
    const { code, detail } = failureOf(damaged);
    expect(code).toBe('E_TRACE');
    expect(detail.offsetBytes).toBeLessThanOrEqual(at);
  }
});

test('what follows the end is refused', () => {
  const { code, detail } = failureOf(Buffer.concat([BYTES, Buffer.alloc(1)]));
  expect([code, detail.offsetBytes]).toEqual(['E_TRACE', BYTES.length]);
});

test.each([
  ['another version', (bytes: Buffer) => bytes.writeUInt16LE(1, 8), 'another version'],
  ['reserved bits', (bytes: Buffer) => bytes.writeUInt16LE(1, 10), 'reserved bits'],
  ['something else', (bytes: Buffer) => bytes.write('ELF', 0), 'This is no trace'],
])('%s is refused by name', (_what, damage, text) => {
  const bytes = Buffer.from(BYTES);
  damage(bytes);
  expect(failureOf(bytes).message).toContain(text);
});

/** With checksums that fit: what a program wrote, and not what a disk lost. */
function withHeader(header: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(header));
  const start = BYTES.subarray(0, 12);
  const head = Buffer.alloc(5);
  head[0] = 1;
  head.writeUInt32LE(body.length, 1);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(crc32(body, crc32(head)));
  const rest = BYTES.subarray(12 + 5 + BYTES.readUInt32LE(13) + 4);
  return Buffer.concat([start, head, body, crc, rest]);
}

test.each([
  ['no object', 7],
  ['no RAM', { ...SMALL_TRACE.header, ramBlocks: [] }],
  ['RAM of half a page', { ...SMALL_TRACE.header, ramBlocks: [{ name: 'a', bytes: 2048 }] }],
  ['endless RAM', { ...SMALL_TRACE.header, ramBlocks: [{ name: 'a', bytes: 2 ** 40 }] }],
  ['no vCPUs', { ...SMALL_TRACE.header, vcpuCount: 0 }],
  ['no workload', { ...SMALL_TRACE.header, workload: null }],
  ['an interval of nothing', { ...SMALL_TRACE.header, intervalMs: 0 }],
  [
    'less RAM than it has pages',
    { ...SMALL_TRACE.header, ramBlocks: [{ name: 'a', bytes: 8192 }] },
  ],
])('a header with %s is refused', (_what, header) => {
  expect(failureOf(withHeader(header)).code).toBe('E_TRACE');
});

test('a header that fits is taken', () => {
  expect(decodeTrace(withHeader(SMALL_TRACE.header))).toEqual(SMALL_TRACE);
});
