import { crc32 } from 'node:zlib';
import { ByteWriter } from './byte-writer.ts';
import { pagesOfBitmap, writePageSet } from './page-set.ts';
import {
  type ChangeSample,
  type ContentSample,
  type Trace,
  type TraceHeader,
  type TraceInterval,
  tracePages,
} from './trace.ts';

/** `STRNTRCE`, u16 version, u16 zero. */
export const TRACE_MAGIC = Buffer.from('STRNTRCE', 'latin1');
export const TRACE_VERSION = 2;
export const TRACE_START_BYTES = TRACE_MAGIC.length + 4;

/** Each record: u8 type, u32 length of its body, the body, u32 CRC-32 of all that. */
export const TRACE_RECORDS = { header: 1, populated: 2, contents: 3, interval: 4, end: 5 } as const;
/** The bitmap of 16 GiB of RAM is half a MiB; a sample takes up to 18 bytes. */
export const TRACE_RECORD_BYTES_MAX = 8 * 2 ** 20;

/** A share is told in thousandths. */
export const BUSY_SCALE = 1000;

/** The parts of a trace as bytes, in the order in which they follow each other. */
export class TraceEncoder {
  private readonly header: TraceHeader;
  private readonly pageCount: number;
  private intervals = 0;

  constructor(header: TraceHeader) {
    this.header = header;
    this.pageCount = tracePages(header);
  }

  begin(populated: Uint8Array, contents: readonly ContentSample[]): Buffer {
    const start = Buffer.alloc(TRACE_START_BYTES);
    TRACE_MAGIC.copy(start);
    start.writeUInt16LE(TRACE_VERSION, TRACE_MAGIC.length);
    return Buffer.concat([
      start,
      record(TRACE_RECORDS.header, Buffer.from(JSON.stringify(this.header))),
      record(TRACE_RECORDS.populated, this.pageSet(pagesOfBitmap(populated))),
      record(TRACE_RECORDS.contents, contentsBody(contents)),
    ]);
  }

  interval({ spanMs, busyShare, pages, changes }: TraceInterval): Buffer {
    this.intervals += 1;
    const body = new ByteWriter();
    body.varint(Math.round(spanMs * 1000));
    body.varint(Math.round(busyShare * BUSY_SCALE));
    body.raw(this.pageSet(pages));
    body.varint(changes.length);
    for (const change of changes) writeChange(body, change);
    return record(TRACE_RECORDS.interval, body.view());
  }

  end(): Buffer {
    const body = new ByteWriter();
    body.u32(this.intervals);
    return record(TRACE_RECORDS.end, body.view());
  }

  private pageSet(pages: Uint32Array): Buffer {
    const body = new ByteWriter();
    writePageSet(body, pages, this.pageCount);
    return body.view();
  }
}

/** The whole file. */
export function encodeTrace({ header, populated, contents, intervals }: Trace): Buffer {
  const encoder = new TraceEncoder(header);
  return Buffer.concat([
    encoder.begin(populated, contents),
    ...intervals.map((interval) => encoder.interval(interval)),
    encoder.end(),
  ]);
}

function contentsBody(contents: readonly ContentSample[]): Buffer {
  const body = new ByteWriter();
  body.varint(contents.length);
  for (const { pfn, lz4Bytes } of contents) {
    body.varint(pfn);
    body.varint(lz4Bytes);
  }
  return body.view();
}

function writeChange(body: ByteWriter, change: ChangeSample): void {
  body.varint(change.pfn);
  body.varint(change.lag);
  body.varint(change.changedBytes);
  body.varint(change.xbzrleBytes);
  body.varint(change.lz4Bytes);
  body.varint(change.deltaLz4Bytes);
}

function record(type: number, body: Uint8Array): Buffer {
  const writer = new ByteWriter();
  writer.u8(type);
  writer.u32(body.length);
  writer.raw(body);
  writer.u32(crc32(writer.view()));
  return writer.view();
}
