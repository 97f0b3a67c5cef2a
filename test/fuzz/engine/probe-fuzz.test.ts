import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PROBE_BYTES_MAX, SimClock, silentLogger } from '../../../src/base/index.ts';
import { MemoryConnection } from '../../../src/channel/memory-channel.ts';
import {
  encodePong,
  encodeProbeAck,
  encodeProbeResult,
  encodeProgress,
  FRAME_HEADER_BYTES,
  type ProbeResultBody,
} from '../../../src/protocol/index.ts';
import { measureLink } from '../../../src/source/index.ts';
import { FUZZ_RUNS, fuzzSettings } from '../fuzz-settings.ts';
import { controlFrame } from './support/frames.ts';
import { hostileFrames } from './support/hostile-frames.ts';
import { expectTyped } from './support/incoming-target.ts';
import { RawPeer, WatchedChannel } from './support/raw-peer.ts';

const RUNS = FUZZ_RUNS / 15;
/** Beyond all limits of a probe: its ten seconds, and three times the stall timeout. */
const LIMIT_MS = 60_000;
/** A body of another kind than pages that a destination may send. */
const PLACE_BYTES_MAX = 128 * 2 ** 10;
/** As many as there are slots, and a few control messages. */
const UNTAKEN_FRAMES_MAX = 32;

const ACK = controlFrame('PROBE_ACK', encodeProbeAck({ durationMs: 4000, bytes: PROBE_BYTES_MAX }));
const PROGRESS = controlFrame(
  'PROGRESS',
  encodeProgress({ receivedBytes: Number.MAX_SAFE_INTEGER, pages: 0 }),
);

/** A source that measures the link to a destination that says what it likes. */
async function measured(
  answer: (peer: RawPeer, name: string, bodyBytes: number) => void,
): Promise<{ readonly value?: unknown; readonly error?: unknown }> {
  const clock = new SimClock();
  // Slow, so that little has to be copied in the time of a probe.
  const connection = new MemoryConnection({
    ...{ clock, latencyMs: 0.1, bandwidthBytesPerSecond: 2e6 },
  });
  const channel = new WatchedChannel(clock, connection, 'a');
  const peer = new RawPeer(connection, 'b');
  peer.onFrame = (name, body) => answer(peer, name, body.length);
  const work = measureLink({
    ...{ channel, clock, log: silentLogger(), durationMs: 100, stallTimeoutMs: 3000 },
  });
  const settled = work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  const result = await clock.runUntil(settled, LIMIT_MS);
  expect(channel.placeBytesMax).toBeLessThanOrEqual(PLACE_BYTES_MAX);
  expect(channel.untakenFramesMax).toBeLessThanOrEqual(UNTAKEN_FRAMES_MAX);
  return result;
}

test('measureLink() ends with an error that somebody thought of, whatever comes', async () => {
  const pool = [ACK, PROGRESS, ...hostileFrames()];
  const choices = fc.array(fc.nat(9999), { maxLength: 12 });
  const property = fc.asyncProperty(choices, fc.boolean(), async (frames, isHonestFirst) => {
    const left = [...frames];
    const { error, value } = await measured((peer, name) => {
      if (name === 'PROBE' && isHonestFirst) peer.send(ACK);
      const choice = left.shift();
      if (choice !== undefined) peer.send(pool[choice % pool.length] ?? new Uint8Array(0));
    });
    expect(value).toBeUndefined();
    expectTyped(error as Parameters<typeof expectTyped>[0]);
  });
  await fc.assert(property, fuzzSettings(RUNS));
});

const amounts = fc.oneof(
  fc.constantFrom(0, 1, 0.001, 5e-324, 1e9, 1.7e308),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
);

test('measureLink() believes no sum that cannot be', async () => {
  const bytes = fc.integer({ min: 0, max: PROBE_BYTES_MAX });
  const results = fc.record({ receivedBytes: bytes, spanBytes: bytes, spanMs: amounts });
  await fc.assert(
    fc.asyncProperty(results, async (result: ProbeResultBody) => {
      const { error, value } = await measured(honestUntilEnd(() => result));
      expect(value).toBeUndefined();
      expect(error).toMatchObject({ code: expect.stringMatching(/^E_(PROTOCOL|CHANNEL)_/) });
    }),
    fuzzSettings(RUNS),
  );
});

test('measureLink() believes one that can be', async () => {
  const sum = (sentBytes: number) => ({
    ...{ receivedBytes: sentBytes, spanBytes: Math.floor(sentBytes / 2), spanMs: 50 },
  });
  const { value } = await measured(honestUntilEnd(sum));
  expect(value).toMatchObject({ bytesPerSecond: expect.any(Number) });
});

/** Answers as a destination does, and the end with `result` of the bytes that have come. */
function honestUntilEnd(
  result: (receivedBytes: number) => ProbeResultBody,
): (peer: RawPeer, name: string, bodyBytes: number) => void {
  let [receivedBytes, id] = [0, 0];
  return (peer, name, bodyBytes) => {
    if (name === 'PROBE') peer.send(ACK);
    if (name === 'PING') {
      id += 1;
      peer.send(controlFrame('PONG', encodePong({ id, timeMs: 0, peerTimeMs: 0 })));
    }
    if (name === 'PROBE_DATA') {
      receivedBytes += FRAME_HEADER_BYTES + bodyBytes;
      const progress = { receivedBytes: peer.receivedBytes, pages: 0 };
      peer.send(controlFrame('PROGRESS', encodeProgress(progress)));
    }
    if (name === 'PROBE_END') {
      peer.send(controlFrame('PROBE_RESULT', encodeProbeResult(result(receivedBytes))));
    }
  };
}
