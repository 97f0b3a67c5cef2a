import type { SternaError } from '../../src/base/index.ts';
import type { Channel, FrameSink, SlotFrame } from '../../src/channel/index.ts';
import {
  decodePageTable,
  FRAME_HEADER_BYTES,
  MESSAGE_TYPES,
  type MessageType,
} from '../../src/protocol/index.ts';

/** What really went out, counted from the bytes of the frames and not by the engine. */
export interface PageTruth {
  batches: number;
  batchBytes: number;
  zeroPages: number;
  zeroRuns: number;
  rawPages: number;
  xbzrlePages: number;
  xbzrleBytes: number;
  lz4Pages: number;
  lz4Bytes: number;
  lz4XbzrlePages: number;
  lz4XbzrleBytes: number;
}

/** Passes everything through, and reads every page batch on its way with the plain decoder. */
export class TappedChannel implements Channel {
  readonly truth: PageTruth = {
    batches: 0,
    batchBytes: 0,
    zeroPages: 0,
    zeroRuns: 0,
    rawPages: 0,
    xbzrlePages: 0,
    xbzrleBytes: 0,
    lz4Pages: 0,
    lz4Bytes: 0,
    lz4XbzrlePages: 0,
    lz4XbzrleBytes: 0,
  };
  /** Called before a page batch or a list of hashes goes out, with its body. */
  onSlot: ((frame: SlotFrame, body: Uint8Array) => void) | undefined;
  private readonly inner: Channel;

  constructor(inner: Channel) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }

  get duplex(): boolean {
    return this.inner.duplex;
  }

  get sentBytes(): number {
    return this.inner.sentBytes;
  }

  get receivedBytes(): number {
    return this.inner.receivedBytes;
  }

  get lastReceivedMs(): number {
    return this.inner.lastReceivedMs;
  }

  start(sink: FrameSink): void {
    this.inner.start(sink);
  }

  send(type: MessageType, body: Uint8Array, block?: number): Promise<void> {
    return this.inner.send(type, body, block);
  }

  sendSlot(slot: Uint8Array, frame: SlotFrame): Promise<void> {
    const body = slot.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + frame.bodyBytes);
    if (frame.type === MESSAGE_TYPES.PAGE_BATCH) this.count(body, frame.checkedBytes);
    this.onSlot?.(frame, body);
    return this.inner.sendSlot(slot, frame);
  }

  end(): Promise<void> {
    return this.inner.end();
  }

  destroy(error?: SternaError): void {
    this.inner.destroy(error);
  }

  private count(body: Uint8Array, tableBytes: number): void {
    const decoded = decodePageTable(body, tableBytes);
    if (decoded.kind === 'malformed') throw decoded.error;
    const { truth } = this;
    truth.batches += 1;
    truth.batchBytes += FRAME_HEADER_BYTES + body.length;
    for (const entry of decoded.body) {
      if (entry.kind === 'ZERO_RUN') {
        truth.zeroRuns += 1;
        truth.zeroPages += entry.pages;
      } else if (entry.kind === 'RAW') truth.rawPages += 1;
      else if (entry.kind === 'XBZRLE') {
        truth.xbzrlePages += 1;
        truth.xbzrleBytes += entry.payload.length;
      } else if (entry.kind === 'LZ4') {
        truth.lz4Pages += 1;
        truth.lz4Bytes += entry.payload.length;
      } else {
        truth.lz4XbzrlePages += 1;
        truth.lz4XbzrleBytes += entry.payload.length;
      }
    }
  }
}
