import { crc32 } from 'node:zlib';
import {
  PAGE_BYTES,
  RAM_BLOCK_BYTES_MAX,
  RAM_BYTES_MAX,
  VCPU_COUNT_MAX,
} from '../../base/index.ts';
import { ByteReader } from './byte-reader.ts';
import { bitmapOfPages, readPageSet } from './page-set.ts';
import {
  type ChangeSample,
  type ContentSample,
  type Trace,
  type TraceHeader,
  type TraceInterval,
  traceError,
  tracePages,
} from './trace.ts';
import {
  BUSY_SCALE,
  TRACE_MAGIC,
  TRACE_RECORD_BYTES_MAX,
  TRACE_RECORDS,
  TRACE_START_BYTES,
  TRACE_VERSION,
} from './trace-encoder.ts';

const SPAN_US_MAX = 86_400 * 1e6;
const LAG_MAX = 2 ** 32;
const { header: HEADER, populated: POPULATED, contents: CONTENTS } = TRACE_RECORDS;
const { interval: INTERVAL, end: END } = TRACE_RECORDS;

/** Throws E_TRACE, which says what is wrong and at which byte of the file. */
export function decodeTrace(bytes: Uint8Array): Trace {
  const reader = new ByteReader(bytes, 0);
  checkStart(reader);
  const header = readHeader(expected(reader, HEADER, 'header'));
  const pageCount = tracePages(header);
  const populatedBody = expected(reader, POPULATED, 'populated pages');
  const populated = bitmapOfPages(readPageSet(populatedBody, pageCount), pageCount);
  populatedBody.end('populated pages');
  const contents = readContents(expected(reader, CONTENTS, 'contents'), pageCount);
  const intervals: TraceInterval[] = [];
  for (;;) {
    const { offsetBytes } = reader;
    const { type, body } = nextRecord(reader, `interval ${intervals.length}`);
    if (type === INTERVAL) intervals.push(readInterval(body, pageCount));
    else if (type === END) {
      const count = body.u32('count of intervals');
      body.end('end');
      if (count !== intervals.length) {
        throw traceError('Trace lacks intervals', { offsetBytes, count, found: intervals.length });
      }
      break;
    } else throw traceError('Trace has a record in the wrong place', { offsetBytes, type });
  }
  reader.end('file');
  return { header, populated, contents, intervals };
}

function checkStart(reader: ByteReader): void {
  const start = reader.take(TRACE_START_BYTES, 'beginning');
  if (!start.subarray(0, TRACE_MAGIC.length).equals(TRACE_MAGIC)) {
    throw traceError('This is no trace: it does not begin with STRNTRCE', { offsetBytes: 0 });
  }
  const version = start.readUInt16LE(TRACE_MAGIC.length);
  const offsetBytes = TRACE_MAGIC.length;
  if (version !== TRACE_VERSION) {
    throw traceError('Trace has another version', {
      offsetBytes,
      version,
      expected: TRACE_VERSION,
    });
  }
  if (start.readUInt16LE(offsetBytes + 2) !== 0) {
    throw traceError('Trace has reserved bits set', { offsetBytes: offsetBytes + 2 });
  }
}

function expected(reader: ByteReader, type: number, what: string): ByteReader {
  const { offsetBytes } = reader;
  const found = nextRecord(reader, what);
  if (found.type === type) return found.body;
  throw traceError(`Trace has another record where its ${what} belong`, {
    offsetBytes,
    type: found.type,
    expected: type,
  });
}

function nextRecord(
  reader: ByteReader,
  what: string,
): { readonly type: number; readonly body: ByteReader } {
  const { offsetBytes } = reader;
  if (reader.leftBytes === 0) {
    throw traceError(`Trace ends before its ${what}: the recording was cut off`, { offsetBytes });
  }
  const head = reader.take(5, what);
  const length = head.readUInt32LE(1);
  if (length > TRACE_RECORD_BYTES_MAX) {
    throw traceError(`Trace has an impossible length of its ${what}`, { offsetBytes, length });
  }
  if (length + 4 > reader.leftBytes) {
    throw traceError(`Trace ends inside of its ${what}`, { offsetBytes, length });
  }
  const at = reader.offsetBytes;
  const body = reader.take(length, what);
  if (reader.u32(what) !== crc32(body, crc32(head))) {
    throw traceError(`Trace is damaged in its ${what}`, { offsetBytes, bytes: length });
  }
  return { type: head[0] as number, body: new ByteReader(body, at) };
}

function readHeader(reader: ByteReader): TraceHeader {
  const { offsetBytes } = reader;
  const wrong = (what: string) => traceError(`Trace has a header with ${what}`, { offsetBytes });
  const header = parseObject(reader.take(reader.leftBytes, 'header'));
  if (header === undefined) throw wrong('no object in it');
  const { ramBlocks, vcpuCount, workload, intervalMs } = header;
  if (!Array.isArray(ramBlocks) || ramBlocks.length === 0) throw wrong('no RAM');
  const blocks = ramBlocks.map((block: unknown) => {
    const { name, bytes } = (block ?? {}) as { readonly name?: unknown; readonly bytes?: unknown };
    const isWhole = Number.isInteger(bytes) && Number(bytes) % PAGE_BYTES === 0;
    if (typeof name !== 'string' || !isWhole || !within(bytes, PAGE_BYTES, RAM_BLOCK_BYTES_MAX)) {
      throw wrong('an impossible RAM block');
    }
    return { name, bytes: Number(bytes) };
  });
  const ramBytes = blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  if (ramBytes > RAM_BYTES_MAX) throw wrong('too much RAM');
  if (!Number.isInteger(vcpuCount) || !within(vcpuCount, 1, VCPU_COUNT_MAX)) {
    throw wrong('an impossible number of vCPUs');
  }
  if (typeof workload !== 'string') throw wrong('no workload');
  if (!within(intervalMs, 1, 60_000)) throw wrong('an impossible interval');
  return {
    ramBlocks: blocks,
    vcpuCount: Number(vcpuCount),
    workload,
    intervalMs: Number(intervalMs),
  };
}

function within(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && value >= min && value <= max;
}

function parseObject(text: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told by the caller, as anything else that is no object.
  }
  return undefined;
}

function readContents(reader: ByteReader, pageCount: number): ContentSample[] {
  const count = reader.varint('count of contents', TRACE_RECORD_BYTES_MAX);
  const contents: ContentSample[] = [];
  while (contents.length < count) {
    contents.push({
      pfn: reader.varint('page', pageCount - 1),
      lz4Bytes: reader.varint('length', PAGE_BYTES),
    });
  }
  reader.end('contents');
  return contents;
}

function readInterval(reader: ByteReader, pageCount: number): TraceInterval {
  const spanMs = reader.varint('span', SPAN_US_MAX) / 1000;
  const busyShare = reader.varint('busy share', BUSY_SCALE) / BUSY_SCALE;
  const pages = readPageSet(reader, pageCount);
  const count = reader.varint('count of changes', TRACE_RECORD_BYTES_MAX);
  const changes: ChangeSample[] = [];
  while (changes.length < count) {
    changes.push({
      pfn: reader.varint('page', pageCount - 1),
      lag: reader.varint('lag', LAG_MAX),
      changedBytes: reader.varint('changed bytes', PAGE_BYTES),
      xbzrleBytes: reader.varint('length', PAGE_BYTES),
      lz4Bytes: reader.varint('length', PAGE_BYTES),
      deltaLz4Bytes: reader.varint('length', PAGE_BYTES),
    });
  }
  reader.end('interval');
  return { spanMs, busyShare, pages, changes };
}
