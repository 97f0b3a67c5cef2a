import { describe, expect, test } from 'vitest';
import { crc32c, SternaError } from '../../src/base/index.ts';
import type { Channel } from '../../src/channel/index.ts';
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameHeader,
  MESSAGE_TYPES,
  type MessageType,
  PAGE_BATCH_BYTES_MAX,
  writeHeader,
} from '../../src/protocol/index.ts';
import type { ChannelHarness } from './channel-harness.ts';
import { RecordingSink } from './recording-sink.ts';

const { PAGE_BATCH, PING, PROGRESS, MACHINE_STATE } = MESSAGE_TYPES;
const MIB = 2 ** 20;
const UNKNOWN_TYPE = 200;

/** What holds for every channel in one direction, also for a file. */
export function describeChannel(harness: ChannelHarness): void {
  describe(`Channel (${harness.name})`, () => {
    describeDelivery(harness);
    describePlacement(harness);
    describeMalformed(harness);
  });
}

function describeDelivery(harness: ChannelHarness): void {
  test('send() and sendSlot() keep order and bytes of tiny and large frames', async () => {
    const sizes = [0, 1, 31, 32, 33, 0, 0, 4096, MIB, 7, PAGE_BATCH_BYTES_MAX, 0];
    const sink = new RecordingSink();
    await harness.transfer(async (channel) => {
      await Promise.all(sizes.map((size, index) => sendEither(channel, index, size)));
    }, sink);
    expect(sink.closings).toEqual([undefined]);
    expect(sink.frames.map(({ body }) => body.length)).toEqual(sizes);
    for (const [index, { header, body }] of sink.frames.entries()) {
      expect(header.sequence).toBe(index);
      expect(Buffer.compare(body, patternBytes(index, body.length))).toBe(0);
    }
  });

  test('sendSlot() allows the slot to be changed when it has resolved', async () => {
    const slot = sharedSlot(64 * 1024);
    const sink = new RecordingSink();
    await harness.transfer(async (channel) => {
      for (let index = 0; index < 20; index += 1) {
        slot.fill(index);
        await channel.sendSlot(slot, slotFrame(64 * 1024, index));
        slot.fill(0xff);
      }
    }, sink);
    expect(sink.frames).toHaveLength(20);
    for (const [index, { header, body }] of sink.frames.entries()) {
      expect(header.block).toBe(index);
      expect(body.every((byte) => byte === index)).toBe(true);
    }
  });

  test('sentBytes and receivedBytes count headers and bodies', async () => {
    let sender: Channel | undefined;
    await harness.transfer(async (channel) => {
      sender = channel;
      await channel.send(PING, patternBytes(0, 10));
      await channel.sendSlot(sharedSlot(5000), slotFrame(5000, 0));
    }, new RecordingSink());
    expect(sender?.sentBytes).toBe(2 * FRAME_HEADER_BYTES + 5010);
  });

  test('send() rejects when the channel was ended', async () => {
    const refused: unknown[] = [];
    await harness.transfer(async (channel) => {
      void channel.end();
      refused.push(await channel.send(PING, new Uint8Array(1)).catch((error: unknown) => error));
    }, new RecordingSink());
    expect(refused[0]).toBeInstanceOf(SternaError);
  });
}

function describePlacement(harness: ChannelHarness): void {
  test('place() says where the body goes, and nothing around it changes', async () => {
    const guard = 0xa5;
    const bodyBytes = 100_000;
    const memory = new Uint8Array(new SharedArrayBuffer(2 * MIB)).fill(guard);
    const offset = 4321;
    const sink = new RecordingSink({
      place: (header) => memory.subarray(offset, offset + header.bodyBytes + FRAME_HEADER_BYTES),
      onFrame: (_header, body) => {
        expect(body.buffer).toBe(memory.buffer);
        expect([body.byteOffset, body.length]).toEqual([offset, bodyBytes]);
      },
    });
    await harness.transfer(async (channel) => {
      for (const index of [1, 2]) {
        const slot = sharedSlot(bodyBytes);
        slot.set(patternBytes(index, bodyBytes), FRAME_HEADER_BYTES);
        await channel.sendSlot(slot, slotFrame(bodyBytes, 0));
      }
    }, sink);
    expect(sink.closings).toEqual([undefined]);
    expect(sink.frames).toHaveLength(2);
    const end = offset + bodyBytes;
    expect(Buffer.compare(memory.slice(offset, end), patternBytes(2, bodyBytes))).toBe(0);
    expect(memory.subarray(0, offset).every((byte) => byte === guard)).toBe(true);
    expect(memory.subarray(end + FRAME_HEADER_BYTES).every((byte) => byte === guard)).toBe(true);
  });

  test('place() ends the channel when it returns an error', async () => {
    const refusal = new SternaError('E_BUSY', 'No room');
    const sink = new RecordingSink({ place: () => refusal });
    await harness.read(frameBytes([PING, 3]), sink);
    expect(sink.closings).toEqual([refusal]);
    expect(sink.frames).toEqual([]);
  });

  test('frame() ends the channel when it throws a SternaError', async () => {
    const refusal = new SternaError('E_PROTOCOL_BAD_BODY', 'Not this one');
    const sink = new RecordingSink({
      onFrame: (header) => {
        if (header.sequence === 1) throw refusal;
      },
    });
    await harness.read(frameBytes([PING, 3], [PING, 0], [PING, 0], [PING, 5]), sink);
    expect(sink.closings).toEqual([refusal]);
    expect(sink.frames).toHaveLength(2);
  });
}

function describeMalformed(harness: ChannelHarness): void {
  test('a stream that ends between frames closes without an error', async () => {
    const sink = new RecordingSink();
    await harness.read(frameBytes([PING, 3], [PROGRESS, 0]), sink);
    expect(sink.closings).toEqual([undefined]);
    expect(sink.frames).toHaveLength(2);
  });

  test.each([
    ['in a header', 1],
    ['behind a header', FRAME_HEADER_BYTES],
    ['in a body', FRAME_HEADER_BYTES + 30],
  ])('a stream that ends %s closes with E_PROTOCOL_TRUNCATED', async (_where, keptBytes) => {
    const first = frameBytes([PING, 3]);
    const stream = frameBytes([PING, 3], [PROGRESS, 50]).subarray(0, first.length + keptBytes);
    await expectClosing(harness, stream, 'E_PROTOCOL_TRUNCATED', 1);
  });

  test('a wrong magic closes with E_PROTOCOL_BAD_MAGIC', async () => {
    await expectClosing(harness, new Uint8Array(100).fill(0x47), 'E_PROTOCOL_BAD_MAGIC', 0);
  });

  test('a corrupt header closes with E_PROTOCOL_BAD_HEADER', async () => {
    const stream = frameBytes([PING, 3], [PROGRESS, 50]);
    stream[FRAME_HEADER_BYTES + 3 + 9] = 0xff;
    await expectClosing(harness, stream, 'E_PROTOCOL_BAD_HEADER', 1);
  });

  test('a corrupt body closes with E_PROTOCOL_CHECKSUM when it carries no pages', async () => {
    const stream = frameBytes([PING, 3], [PROGRESS, 50]);
    stream[stream.length - 1] = 0xff;
    await expectClosing(harness, stream, 'E_PROTOCOL_CHECKSUM', 1);
  });

  test('a corrupt body of pages is delivered, for the kernel to check', async () => {
    const stream = frameBytes([PAGE_BATCH, 50], [PING, 0]);
    stream[FRAME_HEADER_BYTES + 10] = 0xff;
    const sink = new RecordingSink();
    await harness.read(stream, sink);
    expect(sink.closings).toEqual([undefined]);
    expect(sink.frames).toHaveLength(2);
  });

  test.each([0, 2])('sequence %i where 1 is due closes with E_PROTOCOL_SEQUENCE', async (wrong) => {
    const stream = Buffer.concat([
      frameBytes([PING, 3]),
      encodeFrame(PING, wrong, new Uint8Array(3)),
    ]);
    await expectClosing(harness, stream, 'E_PROTOCOL_SEQUENCE', 1);
  });

  test('an announced length above the cap closes with E_PROTOCOL_FRAME_TOO_LONG', async () => {
    const header = rawHeader({ type: PING, bodyBytes: 2 ** 32 - 1 });
    await expectClosing(harness, header, 'E_PROTOCOL_FRAME_TOO_LONG', 0);
  });

  test('an unknown mandatory type closes with E_PROTOCOL_UNKNOWN_MESSAGE', async () => {
    const header = rawHeader({ type: UNKNOWN_TYPE, bodyBytes: 0 });
    await expectClosing(harness, header, 'E_PROTOCOL_UNKNOWN_MESSAGE', 0);
  });

  test('an unknown optional type is skipped, body and all', async () => {
    const optional = { type: UNKNOWN_TYPE, optional: true };
    const stream = Buffer.concat([
      frameBytes([PING, 3]),
      rawHeader({ ...optional, bodyBytes: 40_000, sequence: 1 }),
      new Uint8Array(40_000).fill(7),
      rawHeader({ ...optional, bodyBytes: 0, sequence: 2 }),
      encodeFrame(MACHINE_STATE, 3, patternBytes(3, 500)),
    ]);
    const sink = new RecordingSink();
    await harness.read(stream, sink);
    expect(sink.closings).toEqual([undefined]);
    expect(sink.frames.map(({ header }) => header.sequence)).toEqual([0, 3]);
    expect(Buffer.compare(sink.frames[1]!.body, patternBytes(3, 500))).toBe(0);
  });
}

async function expectClosing(
  harness: ChannelHarness,
  stream: Uint8Array,
  code: string,
  frameCount: number,
): Promise<void> {
  const sink = new RecordingSink();
  await harness.read(stream, sink);
  expect(sink.closings.map((error) => error?.code)).toEqual([code]);
  expect(sink.frames).toHaveLength(frameCount);
}

function sendEither(channel: Channel, index: number, bodyBytes: number): Promise<void> {
  const body = patternBytes(index, bodyBytes);
  if (index % 2 === 0 && bodyBytes < 64 * 1024) return channel.send(MACHINE_STATE, body);
  const slot = sharedSlot(bodyBytes);
  slot.set(body, FRAME_HEADER_BYTES);
  return channel.sendSlot(slot, slotFrame(bodyBytes, index));
}

/** Bytes that tell frames and places apart. */
export function patternBytes(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) bytes[index] = seed * 31 + index + (index >>> 8);
  return bytes;
}

/** A slot in shared memory, as in guest RAM's staging ring, off any alignment. */
export function sharedSlot(bodyBytes: number): Uint8Array {
  const bytes = FRAME_HEADER_BYTES + bodyBytes;
  return new Uint8Array(new SharedArrayBuffer(bytes + 8), 3, bytes);
}

/** A page batch without a checked tail. */
export function slotFrame(bodyBytes: number, block: number) {
  return { type: PAGE_BATCH, block, bodyBytes, checkedBytes: 0, checkedCrc: 0 };
}

/** A stream of well-formed frames of these types and body lengths. */
function frameBytes(...frames: [MessageType, number][]): Buffer {
  return Buffer.concat(
    frames.map(([type, size], index) => encodeFrame(type, index, patternBytes(index, size))),
  );
}

/** A header that encodeFrame() would not make; its own checksum is right. */
function rawHeader(
  fields: Partial<Omit<FrameHeader, 'type'>> & { type: number; bodyBytes: number },
): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  writeHeader(bytes, {
    optional: false,
    checkedBytes: 0,
    sequence: 0,
    block: 0,
    checkedCrc: 0,
    ...fields,
    // Deliberately a type that does not exist.
    type: fields.type as MessageType,
  });
  expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(FRAME_MAGIC);
  expect(new DataView(bytes.buffer).getUint32(28, true)).toBe(crc32c(bytes.subarray(0, 28)));
  return bytes;
}
