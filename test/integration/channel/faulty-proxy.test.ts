import { expect, onTestFinished, test } from 'vitest';
import { deferred, silentLogger } from '../../../src/base/index.ts';
import {
  type Channel,
  connectTcp,
  parseTcpAddress,
  TcpListener,
} from '../../../src/channel/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { patternBytes, sharedSlot, slotFrame } from '../../support/channel-compliance.ts';
import { clock } from '../../support/channel-harness.ts';
import { FaultyProxy, type FaultyProxyOptions } from '../../support/faulty-proxy.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const { PING } = MESSAGE_TYPES;
const FRAME_BYTES = 10_000;
const BODY_BYTES = FRAME_BYTES - FRAME_HEADER_BYTES;

async function openThroughProxy(options: Omit<FaultyProxyOptions, 'target'>) {
  const accepted = deferred<Channel>();
  const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
    clock,
    log: silentLogger(),
    connectionCountMax: 2,
    onConnection: (channel) => accepted.resolve(channel),
  });
  const proxy = await FaultyProxy.start({ target: listener.address, ...options });
  const a = await connectTcp(proxy.address, { clock, timeoutMs: 5000 });
  const b = await accepted.promise;
  const sinks = { a: new RecordingSink(), b: new RecordingSink() };
  a.start(sinks.a);
  b.start(sinks.b);
  onTestFinished(async () => {
    a.destroy();
    b.destroy();
    listener.close();
    await proxy.close();
  });
  return { a, b, sinks, proxy };
}

async function sendFrames(channel: Channel, count: number): Promise<void> {
  const slot = sharedSlot(BODY_BYTES);
  slot.set(patternBytes(1, BODY_BYTES), FRAME_HEADER_BYTES);
  for (let index = 0; index < count; index += 1) {
    await channel.sendSlot(slot, slotFrame(BODY_BYTES, index));
  }
}

test('FaultyProxy counts and captures what crosses, as the channels count it', async () => {
  const { a, b, sinks, proxy } = await openThroughProxy({ toTarget: { capture: true } });
  await sendFrames(a, 30);
  await sinks.b.untilFrames(30);
  await b.send(PING, new Uint8Array(8));
  await sinks.a.untilFrames(1);
  expect([a.sentBytes, b.receivedBytes]).toEqual([300_000, 300_000]);
  expect(proxy.toTarget.forwardedBytes).toBe(300_000);
  expect([a.receivedBytes, proxy.toClient.forwardedBytes]).toEqual([40, 40]);
  expect(proxy.toTarget.capture.length).toBe(300_000);
  const body = proxy.toTarget.capture.subarray(FRAME_HEADER_BYTES, FRAME_BYTES);
  expect(Buffer.compare(body, patternBytes(1, BODY_BYTES))).toBe(0);
});

test('FaultyProxy cuts after exactly the bytes that were asked, inside a frame', async () => {
  const { a, sinks, proxy } = await openThroughProxy({
    toTarget: { cutAfterBytes: 25_000, cutWith: 'end' },
  });
  await sendFrames(a, 5).catch(() => {});
  expect((await sinks.b.untilClosed())?.code).toBe('E_PROTOCOL_TRUNCATED');
  expect([sinks.b.frames.length, proxy.toTarget.forwardedBytes]).toEqual([2, 25_000]);
});

test('FaultyProxy.cut() breaks the connection for both sides', async () => {
  const { a, sinks, proxy } = await openThroughProxy({});
  await sendFrames(a, 1);
  await sinks.b.untilFrames(1);
  proxy.cut();
  for (const sink of [sinks.a, sinks.b]) {
    expect((await sink.untilClosed())?.code).toBe('E_CHANNEL_RESET');
  }
});

test('FaultyProxy stalls after the bytes that were asked and goes on when it is told', async () => {
  const { a, sinks, proxy } = await openThroughProxy({ toTarget: { stallAfterBytes: 25_000 } });
  await sendFrames(a, 5);
  await sinks.b.untilFrames(2);
  // The stalled bytes wait in the proxy, so it must have read them while none were forwarded.
  while (proxy.toTarget.receivedBytes < 50_000) await clock.yieldToLoop();
  expect(proxy.toTarget.forwardedBytes).toBe(25_000);
  expect([sinks.a.closings, sinks.b.closings]).toEqual([[], []]);
  proxy.resume();
  await sinks.b.untilFrames(5);
});

test('FaultyProxy corrupts one byte, and the frame in it is refused', async () => {
  const { a, sinks } = await openThroughProxy({ toTarget: { corruptAtByte: 20_003 } });
  await sendFrames(a, 3);
  expect((await sinks.b.untilClosed())?.code).toBe('E_PROTOCOL_BAD_MAGIC');
  expect(sinks.b.frames).toHaveLength(2);
});

// That it is no slower either is shown without a real scheduler, in proxy-direction.test.ts.
test('FaultyProxy is never faster than its bandwidth', async () => {
  const rate = 20_000_000;
  const { a, sinks } = await openThroughProxy({ toTarget: { bandwidthBytesPerSecond: rate } });
  const startedMs = clock.nowMs();
  void sendFrames(a, 400).catch(() => {});
  await sinks.b.untilFrames(400);
  expect(clock.nowMs() - startedMs).toBeGreaterThanOrEqual((400 * FRAME_BYTES * 1000) / rate);
});

test('FaultyProxy delays each direction by at least what was asked', async () => {
  const { a, b, sinks } = await openThroughProxy({
    toTarget: { delayMs: 30 },
    toClient: { delayMs: 20 },
  });
  const startedMs = clock.nowMs();
  await a.send(PING, new Uint8Array(1));
  await sinks.b.untilFrames(1);
  await b.send(PING, new Uint8Array(1));
  await sinks.a.untilFrames(1);
  expect(clock.nowMs() - startedMs).toBeGreaterThanOrEqual(50);
});
