import { setImmediate as loopTurn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { SternaError } from '../../src/base/index.ts';
import type { Channel } from '../../src/channel/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES } from '../../src/protocol/index.ts';
import { describeChannel, patternBytes, sharedSlot, slotFrame } from './channel-compliance.ts';
import type { ChannelPair, DuplexHarness } from './channel-harness.ts';
import { RecordingSink } from './recording-sink.ts';

const { PING, PONG } = MESSAGE_TYPES;
const MIB = 2 ** 20;

/** Everything of `describeChannel`, and what holds for connections that carry frames both ways. */
export function describeDuplexChannel(harness: DuplexHarness): void {
  describeChannel(harness);
  describe(`Channel both ways (${harness.name})`, () => {
    let pair: ChannelPair;
    const open = async () => {
      pair = await harness.openPair();
      return pair;
    };
    afterEach(() => pair.close());
    describeTraffic(open);
    describeEnd(open);
    describeDestroy(open);
  });
}

function describeTraffic(open: () => Promise<ChannelPair>): void {
  test('1 MiB frames from shared memory go both ways at once', async () => {
    const { a, b } = await open();
    const sinks = [new RecordingSink(), new RecordingSink()] as const;
    a.start(sinks[0]);
    b.start(sinks[1]);
    await Promise.all([
      sendMebibytes(a, 12),
      sendMebibytes(b, 12),
      ...sinks.map((sink) => sink.untilFrames(12)),
    ]);
    for (const { frames } of sinks) {
      for (const [index, { header, body }] of frames.entries()) {
        expect(header.block).toBe(index);
        expect(Buffer.compare(body, patternBytes(index, MIB))).toBe(0);
      }
    }
    expect(a.receivedBytes).toBe(12 * (MIB + FRAME_HEADER_BYTES));
    expect([a.sentBytes, b.receivedBytes]).toEqual([b.sentBytes, a.receivedBytes]);
  });

  test('start() delivers frames that came before it', async () => {
    const { a, b } = await open();
    await a.send(PING, patternBytes(1, 5));
    await loopTurn();
    const sink = new RecordingSink();
    b.start(sink);
    await sink.untilFrames(1);
    expect(sink.frames[0]?.body).toEqual(patternBytes(1, 5));
  });

  test('send() from within frame() answers', async () => {
    const { a, b } = await open();
    const sink = new RecordingSink();
    a.start(sink);
    b.start(
      new RecordingSink({ onFrame: (_header, body) => void b.send(PONG, Uint8Array.from(body)) }),
    );
    for (const round of [1, 2, 3]) {
      await a.send(PING, patternBytes(round, 8));
      await sink.untilFrames(round);
    }
    expect(sink.frames.map(({ body }) => body)).toEqual([1, 2, 3].map((n) => patternBytes(n, 8)));
  });

  test('lastReceivedMs advances when something comes', async () => {
    const { a, b } = await open();
    const openedMs = b.lastReceivedMs;
    const sink = new RecordingSink();
    b.start(sink);
    await a.send(PING, new Uint8Array(0));
    await sink.untilFrames(1);
    expect(b.lastReceivedMs).toBeGreaterThan(openedMs);
  });
}

function describeEnd(open: () => Promise<ChannelPair>): void {
  test('end() delivers all that was sent, and both sides close once without an error', async () => {
    const { a, b } = await open();
    const sinks = [new RecordingSink(), new RecordingSink()] as const;
    a.start(sinks[0]);
    b.start(sinks[1]);
    const sent = [0, 1, 2].map((block) => a.sendSlot(sharedSlot(MIB), slotFrame(MIB, block)));
    await Promise.all([...sent, a.end(), sinks[1].untilClosed()]);
    await loopTurn();
    expect(sinks[1].frames).toHaveLength(3);
    expect(sinks.map(({ closings }) => closings)).toEqual([[undefined], [undefined]]);
  });

  test('end() resolves on both sides when both call it', async () => {
    const { a, b } = await open();
    const sinks = [new RecordingSink(), new RecordingSink()] as const;
    a.start(sinks[0]);
    b.start(sinks[1]);
    await Promise.all([a.end(), b.end(), b.end()]);
    expect(sinks.map(({ closings }) => closings)).toEqual([[undefined], [undefined]]);
  });

  test('end() still delivers a last message when what the peer sent was never read', async () => {
    const { a, b } = await open();
    const sink = new RecordingSink();
    a.start(sink);
    await a.send(PING, patternBytes(1, 60));
    await loopTurn();
    const told = b.send(MESSAGE_TYPES.ERROR, patternBytes(2, 100));
    await Promise.all([told, b.end(), sink.untilClosed()]);
    expect(sink.frames.map(({ body }) => body)).toEqual([patternBytes(2, 100)]);
    expect(sink.closings).toEqual([undefined]);
  });

  test('send() tells the peer why when what it sent was refused', async () => {
    const { a, b } = await open();
    const reason = new SternaError('E_PROTOCOL_BAD_BODY', 'Not this one');
    const sinks = [new RecordingSink(), new RecordingSink({ place: () => reason })] as const;
    a.start(sinks[0]);
    b.start(sinks[1]);
    // More than the buffers on the way hold: the peer is in the middle of it when it is refused.
    const sent = Array.from({ length: 8 }, () =>
      a.send(MESSAGE_TYPES.MACHINE_STATE, patternBytes(1, 2 ** 20)),
    );
    expect(await sinks[1].untilClosed()).toBe(reason);
    await Promise.all([b.send(MESSAGE_TYPES.ERROR, patternBytes(2, 100)), b.end()]);
    await sinks[0].untilClosed();
    expect(sinks[0].frames.map(({ body }) => body)).toEqual([patternBytes(2, 100)]);
    expect(sinks[1].closings).toEqual([reason]);
    await Promise.allSettled(sent);
  });

  test('send() rejects when the peer has ended', async () => {
    const { a, b } = await open();
    const sink = new RecordingSink();
    b.start(sink);
    a.start(new RecordingSink());
    await a.end();
    await sink.untilClosed();
    await expect(b.send(PING, new Uint8Array(1))).rejects.toMatchObject({
      code: 'E_CHANNEL_RESET',
    });
  });
}

function describeDestroy(open: () => Promise<ChannelPair>): void {
  test('destroy() closes both sides once with an error, also when it is called twice', async () => {
    const { a, b } = await open();
    const sinks = [new RecordingSink(), new RecordingSink()] as const;
    a.start(sinks[0]);
    b.start(sinks[1]);
    const reason = new SternaError('E_CANCELLED', 'Enough');
    a.destroy(reason);
    a.destroy(new SternaError('E_BUSY', 'Too late'));
    await Promise.all(sinks.map((sink) => sink.untilClosed()));
    b.destroy();
    await loopTurn();
    expect(sinks[0].closings).toEqual([reason]);
    expect(sinks[1].closings.map((error) => error?.code)).toEqual(['E_CHANNEL_RESET']);
  });

  test('destroy() does not call the sink back before it returns', async () => {
    const { a } = await open();
    const sink = new RecordingSink();
    a.start(sink);
    a.destroy();
    expect(sink.closings).toEqual([]);
    await sink.untilClosed();
  });

  test('destroy() rejects waiting and later sends with the error that closed', async () => {
    const { a, b } = await open();
    a.start(new RecordingSink());
    // Nobody reads at b, so these soon wait in the transport.
    const slot = sharedSlot(MIB);
    const waiting = Array.from({ length: 40 }, () => a.sendSlot(slot, slotFrame(MIB, 0)));
    await loopTurn();
    const reason = new SternaError('E_CANCELLED', 'Enough');
    a.destroy(reason);
    b.destroy();
    const results = await Promise.allSettled([...waiting, a.send(PING, new Uint8Array(1))]);
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    expect(results.at(-1)?.status).toBe('rejected');
    expect(new Set(errors)).toEqual(new Set([reason]));
  });

  test('destroy() within frame() stops the delivery', async () => {
    const { a, b } = await open();
    const reason = new SternaError('E_CANCELLED', 'Enough');
    const sink = new RecordingSink({ onFrame: () => b.destroy(reason) });
    await Promise.all([1, 2, 3].map(() => a.send(PING, new Uint8Array(0))));
    b.start(sink);
    await sink.untilClosed();
    expect([sink.frames.length, sink.closings]).toEqual([1, [reason]]);
  });

  test('start() reports the end when the channel was destroyed before', async () => {
    const { a } = await open();
    const reason = new SternaError('E_CANCELLED', 'Enough');
    a.destroy(reason);
    const sink = new RecordingSink();
    a.start(sink);
    expect(await sink.untilClosed()).toBe(reason);
  });
}

/** With a ring of two slots, as the engine does. */
async function sendMebibytes(channel: Channel, count: number): Promise<void> {
  const slots = [sharedSlot(MIB), sharedSlot(MIB)] as const;
  const free: Promise<void>[] = [Promise.resolve(), Promise.resolve()];
  const sends: Promise<void>[] = [];
  for (let index = 0; index < count; index += 1) {
    const slot = slots[index % 2 === 0 ? 0 : 1];
    if (index >= 2) await free[index % 2];
    slot.set(patternBytes(index, MIB), FRAME_HEADER_BYTES);
    const sent = channel.sendSlot(slot, slotFrame(MIB, index));
    free[index % 2] = sent;
    sends.push(sent);
  }
  await Promise.all(sends);
}
