import { expect, test } from 'vitest';
import { Random, SimClock } from '../../../src/base/index.ts';
import {
  type FrameFate,
  type MemoryPairOptions,
  memoryChannelPair,
} from '../../../src/channel/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { patternBytes, sharedSlot, slotFrame } from '../../support/channel-compliance.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const { MACHINE_STATE, PING } = MESSAGE_TYPES;

function openPair(options: Omit<MemoryPairOptions, 'clock'> = {}) {
  const clock = new SimClock();
  const pair = memoryChannelPair({ clock, ...options });
  const sinks = { a: new RecordingSink(), b: new RecordingSink() };
  pair.a.start(sinks.a);
  pair.b.start(sinks.b);
  return { clock, sinks, ...pair };
}

/** Sends five frames from a, the third of which has `fate`; returns what b saw. */
async function runWithFate(fate: FrameFate) {
  const pair = openPair({
    latencyMs: 1,
    faults: (direction, frameIndex, header) => {
      expect([direction, header.sequence]).toEqual(['a-to-b', frameIndex]);
      return frameIndex === 2 ? fate : 'deliver';
    },
  });
  const sends = [0, 1, 2, 3, 4].map((index) => pair.a.send(PING, patternBytes(index, 8)));
  const settled = Promise.allSettled(sends);
  await pair.clock.advance(100);
  const { frames, closings } = pair.sinks.b;
  const codes = closings.map((error) => error?.code);
  return { ...pair, settled, codes, sequences: frames.map(({ header }) => header.sequence) };
}

test('faults: deliver lets everything through', async () => {
  const run = await runWithFate('deliver');
  expect([run.sequences, run.codes]).toEqual([[0, 1, 2, 3, 4], []]);
});

test.each([
  ['drop', 'E_PROTOCOL_SEQUENCE', [0, 1]],
  ['duplicate', 'E_PROTOCOL_SEQUENCE', [0, 1, 2]],
  ['corrupt', 'E_PROTOCOL_BAD_HEADER', [0, 1]],
  ['cut', 'E_CHANNEL_RESET', [0, 1]],
] as const)('faults: %s ends the connection with %s', async (fate, code, sequences) => {
  const run = await runWithFate(fate);
  expect([run.sequences, run.codes]).toEqual([sequences, [code]]);
  // Unless the link itself is gone, the way back is open, and stays so until the receiver closes.
  expect(run.sinks.a.closings).toHaveLength(fate === 'cut' ? 1 : 0);
  run.b.destroy();
  await run.clock.advance(10);
  expect(run.sinks.a.closings.map((error) => error?.code)).toEqual(['E_CHANNEL_RESET']);
  await expect(run.a.send(PING, new Uint8Array(1))).rejects.toMatchObject({
    code: 'E_CHANNEL_RESET',
  });
});

test('faults: corrupt damages the middle of a body that is longer than its header', async () => {
  const pair = openPair({ faults: () => 'corrupt' });
  const slot = sharedSlot(4096);
  void pair.a.sendSlot(slot, slotFrame(4096, 0));
  await pair.clock.advance(1);
  const damaged = pair.sinks.b.frames[0]?.body.filter((byte) => byte !== 0);
  expect(damaged).toEqual(Uint8Array.of(1));
  expect(slot.subarray(FRAME_HEADER_BYTES).every((byte) => byte === 0)).toBe(true);
});

test('faults: stall silences one direction and fills its buffer', async () => {
  const bufferBytes = 1000;
  const pair = openPair({
    bufferBytes,
    faults: (direction, index) => (direction === 'a-to-b' && index === 1 ? 'stall' : 'deliver'),
  });
  let taken = 0;
  for (let index = 0; index < 10; index += 1) {
    const sent = pair.a.send(MACHINE_STATE, new Uint8Array(168));
    void sent.then(
      () => {
        taken += 1;
      },
      () => {},
    );
  }
  void pair.b.send(PING, new Uint8Array(3));
  await pair.clock.advance(60_000);
  // The first went; of 200 bytes each, five more lie in the buffer.
  expect([taken, pair.sinks.b.frames.length, pair.sinks.a.frames.length]).toEqual([6, 1, 1]);
  expect([pair.sinks.a.closings, pair.sinks.b.closings]).toEqual([[], []]);
  pair.cut();
  await pair.clock.advance(1);
  expect(pair.sinks.a.closings).toHaveLength(1);
});

test('end() gives up with E_CHANNEL_TIMEOUT when the other side is silent', async () => {
  const pair = openPair({ faults: () => 'stall' });
  await pair.a.send(PING, new Uint8Array(3));
  await pair.clock.runUntil(pair.a.end());
  expect(pair.clock.nowMs()).toBeCloseTo(5000, 0);
  expect(pair.sinks.a.closings.map((error) => error?.code)).toEqual(['E_CHANNEL_TIMEOUT']);
});

test('cut() lets arrive what is on its way, then both sides see E_CHANNEL_RESET once', async () => {
  const pair = openPair({ latencyMs: 10 });
  await pair.a.send(PING, patternBytes(1, 8));
  await pair.clock.advance(5);
  pair.cut();
  pair.cut();
  await pair.clock.advance(100);
  expect(pair.sinks.b.frames).toHaveLength(1);
  for (const { closings } of [pair.sinks.a, pair.sinks.b]) {
    expect(closings.map((error) => error?.code)).toEqual(['E_CHANNEL_RESET']);
  }
});

test('latencyMs and bandwidthBytesPerSecond delay by exactly what they say', async () => {
  const { clock, a, sinks } = openPair({ latencyMs: 20, bandwidthBytesPerSecond: 1_000_000 });
  const slot = sharedSlot(100_000 - FRAME_HEADER_BYTES);
  void a.sendSlot(slot, slotFrame(100_000 - FRAME_HEADER_BYTES, 0));
  await clock.runUntil(sinks.b.untilFrames(1));
  expect(clock.nowMs()).toBeCloseTo(120, 6);
});

test('sendSlot() of more than the buffer resolves when the frame has departed', async () => {
  const { clock, a } = openPair({ bandwidthBytesPerSecond: 1_000_000, bufferBytes: 1000 });
  const slot = sharedSlot(50_000);
  await clock.runUntil(a.sendSlot(slot, slotFrame(50_000, 0)));
  expect(clock.nowMs()).toBeCloseTo(50.032, 6);
});

test('a bandwidth limit holds over many frames, in both directions independently', async () => {
  const { clock, a, b, sinks } = openPair({ bandwidthBytesPerSecond: 1_000_000 });
  const bodyBytes = 10_000 - FRAME_HEADER_BYTES;
  const sendAll = async (channel: typeof a) => {
    const slot = sharedSlot(bodyBytes);
    for (let index = 0; index < 100; index += 1) {
      await channel.sendSlot(slot, slotFrame(bodyBytes, index));
    }
  };
  void sendAll(a);
  void sendAll(b);
  await clock.runUntil(Promise.all([sinks.a.untilFrames(100), sinks.b.untilFrames(100)]));
  expect(clock.nowMs()).toBeGreaterThan(999);
  expect(clock.nowMs()).toBeLessThan(1001);
});

test('the same seed gives the same history, another seed another', async () => {
  const history = async (seed: number): Promise<string> => {
    const random = new Random(seed);
    const pair = openPair({
      latencyMs: 0.5,
      bandwidthBytesPerSecond: 10_000_000,
      pieceBytes: () => 1 + random.below(700),
      faults: () => (random.below(40) === 0 ? 'cut' : 'deliver'),
    });
    const log: string[] = [];
    const talk = async (name: 'a' | 'b') => {
      for (let index = 0; index < 60; index += 1) {
        await pair.clock.sleep(random.below(3));
        await pair[name].send(PING, patternBytes(index, random.below(64)));
        log.push(`${name}${index}@${pair.clock.nowMs().toFixed(4)}`);
      }
    };
    await pair.clock.runUntil(Promise.allSettled([talk('a'), talk('b')]));
    await pair.clock.advance(100);
    log.push(`${pair.sinks.a.frames.length}/${pair.sinks.b.frames.length}`);
    return log.join(' ');
  };
  expect(await history(3)).toBe(await history(3));
  expect(await history(3)).not.toBe(await history(4));
});

test('a slot that is a Buffer may be reused when its promise has settled', async () => {
  // Buffer.slice() is a view where Uint8Array.slice() is a copy; staging slots of guest memory are
  // Buffers.
  const { a, sinks, clock } = openPair({ latencyMs: 1, bandwidthBytesPerSecond: 1e6 });
  const slot = Buffer.from(sharedSlot(5000).buffer, 0, FRAME_HEADER_BYTES + 5000);
  for (const value of [1, 2, 3]) {
    slot.fill(value);
    await clock.runUntil(a.sendSlot(slot, slotFrame(5000, 0)));
    slot.fill(0);
  }
  await clock.runUntil(sinks.b.untilFrames(3));
  const bodies = sinks.b.frames.map(({ body }) => [body[0], body.at(-1)]);
  expect(bodies).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
});
