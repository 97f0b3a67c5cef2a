import { describe, expect, test } from 'vitest';
import { SimClock, SternaError, silentLogger } from '../../../src/base/index.ts';
import {
  type Channel,
  type FrameFate,
  type MemoryLinkOptions,
  memoryChannelPair,
} from '../../../src/channel/index.ts';
import {
  IncomingMigration,
  type IncomingOutcome,
  type RunningProbe,
} from '../../../src/destination/index.ts';
import {
  encodeProbe,
  encodeProbeEnd,
  FRAME_HEADER_BYTES,
  MESSAGE_TYPES,
  type MessageName,
  messageName,
} from '../../../src/protocol/index.ts';
import { type LinkMeasurement, measureLink } from '../../../src/source/index.ts';
import { RecordingLedger } from '../../support/engine-pair.ts';
import { FakeFactory } from '../../support/fake-machine.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const MB = 1e6;
const LIMIT_MS = 60_000;

interface SiteOptions {
  readonly link?: MemoryLinkOptions;
  readonly refusal?: SternaError;
  readonly onFrame?: (name: MessageName | undefined, site: ProbeSite) => FrameFate | undefined;
}

/** A destination that waits for a guest, and a connection to it. */
class ProbeSite {
  readonly clock = new SimClock();
  readonly source: Channel;
  readonly outcome: Promise<IncomingOutcome>;
  readonly ledger = new RecordingLedger();
  readonly factory: FakeFactory;
  readonly frames: (MessageName | undefined)[] = [];
  probe: RunningProbe | undefined;

  constructor({ link = {}, refusal, onFrame }: SiteOptions = {}) {
    const { clock } = this;
    const { a, b } = memoryChannelPair({
      clock,
      ...link,
      faults: (direction, _index, header) => {
        const name = messageName(header.type ?? 0);
        if (direction === 'a-to-b') this.frames.push(name);
        return onFrame?.(name, this) ?? 'deliver';
      },
    });
    this.source = a;
    this.factory = new FakeFactory(clock, {});
    const engine = new IncomingMigration({
      channel: b,
      clock,
      ledger: this.ledger,
      log: silentLogger(),
      factory: this.factory,
      expectedUuid: undefined,
      startPaused: false,
      stallTimeoutMs: 10_000,
      probing: {
        admit: (probe) => {
          if (refusal === undefined) this.probe = probe;
          return refusal;
        },
      },
      observer: { info: () => {} },
    });
    this.outcome = engine.run();
  }

  measure(signal?: AbortSignal): Promise<LinkMeasurement> {
    const { clock, source: channel } = this;
    const options = { clock, channel, log: silentLogger(), durationMs: 1000, stallTimeoutMs: 3000 };
    const measured = measureLink({ ...options, ...(signal === undefined ? {} : { signal }) });
    return clock.runUntil(measured, LIMIT_MS);
  }

  /** Whatever happened, no guest had to do with it. */
  expectUntouched(): void {
    expect(this.factory.created).toEqual([]);
    expect(this.ledger.states).toEqual([]);
  }
}

describe('measureLink()', () => {
  test.each([
    ['slow', 0.2 * MB, 1],
    ['of 10 Mbit/s', 1.25 * MB, 20],
    ['of 100 Mbit/s, far away', 12.5 * MB, 80],
    ['of 1 Gbit/s', 125 * MB, 0.2],
    ['of 1 Gbit/s, across a continent', 125 * MB, 40],
  ])('measures a link that is %s', async (_, bandwidthBytesPerSecond, roundTripMs) => {
    const link = { bandwidthBytesPerSecond, latencyMs: roundTripMs / 2 };
    const site = new ProbeSite({ link });
    const measured = await site.measure();
    expect(measured.bytesPerSecond / bandwidthBytesPerSecond).toBeGreaterThan(0.9);
    expect(measured.bytesPerSecond / bandwidthBytesPerSecond).toBeLessThan(1.01);
    expect(measured.roundTripMs).toBeGreaterThanOrEqual(roundTripMs);
    expect(measured.roundTripMs).toBeLessThan(roundTripMs + 2);
    await site.clock.advance(1000);
    expect((await site.outcome).status).toBe('joined');
    expect(site.probe?.isMeasuring).toBe(false);
    site.expectUntouched();
  });

  test('does not take for rate what buffers let through at once', async () => {
    const link = { bandwidthBytesPerSecond: MB, latencyMs: 5, bufferBytes: 64 * 2 ** 20 };
    const measured = await new ProbeSite({ link }).measure();
    expect(measured.bytesPerSecond).toBeGreaterThan(0.9 * MB);
    expect(measured.bytesPerSecond).toBeLessThan(1.01 * MB);
    // Nor does it leave much in them, which would have to cross before the answer comes.
    expect(measured.sentBytes).toBeLessThan(2 * MB);
  });

  test('rejects with the reason when the destination refuses', async () => {
    const site = new ProbeSite({ refusal: new SternaError('E_BUSY', 'A guest is here') });
    await expect(site.measure()).rejects.toMatchObject({
      code: 'E_BUSY',
      message: 'A guest is here',
      guestOwner: undefined,
    });
    expect(site.frames).not.toContain('PROBE_DATA');
    site.expectUntouched();
  });

  test('rejects with the reason when a guest comes meanwhile', async () => {
    const site = new ProbeSite({
      link: { bandwidthBytesPerSecond: MB },
      onFrame: (name, { probe, frames }) => {
        if (name === 'PROBE_DATA' && frames.length === 20)
          probe?.refuse(new SternaError('E_BUSY', 'A guest came'));
        return undefined;
      },
    });
    await expect(site.measure()).rejects.toMatchObject({ code: 'E_BUSY' });
    expect(site.frames).not.toContain('PROBE_END');
  });

  test('rejects with E_CANCELLED when it is ended, and the destination lets go', async () => {
    const ending = new AbortController();
    const site = new ProbeSite({
      link: { bandwidthBytesPerSecond: MB },
      onFrame: (name) => {
        if (name === 'PROBE_DATA') ending.abort();
        return undefined;
      },
    });
    await expect(site.measure(ending.signal)).rejects.toMatchObject({ code: 'E_CANCELLED' });
    await site.clock.advance(1000);
    expect(site.probe?.isMeasuring).toBe(false);
  });

  test.each<[string, FrameFate, string]>([
    ['falls silent', 'stall', 'E_CHANNEL_TIMEOUT'],
    ['breaks', 'cut', 'E_CHANNEL_RESET'],
  ])('rejects when the link %s', async (_, fate, code) => {
    const site = new ProbeSite({
      link: { bandwidthBytesPerSecond: MB },
      onFrame: (name, { frames }) =>
        name === 'PROBE_DATA' && frames.length > 20 ? fate : undefined,
    });
    await expect(site.measure()).rejects.toMatchObject({ code });
    await site.clock.advance(20_000);
    expect(site.probe?.isMeasuring).toBe(false);
  });
});

describe('a hostile source of a probe', () => {
  async function begun(): Promise<{ site: ProbeSite; heard: RecordingSink }> {
    const site = new ProbeSite();
    const heard = new RecordingSink();
    site.source.start(heard);
    const probe = encodeProbe({ protocol: 1, durationMs: 100 });
    await site.source.send(MESSAGE_TYPES.PROBE, probe);
    await site.clock.advance(10);
    return { site, heard };
  }

  function names({ frames }: RecordingSink): (MessageName | undefined)[] {
    return frames.map(({ header }) => messageName(header.type ?? 0));
  }

  function sendData({ source }: ProbeSite, bodyBytes: number): void {
    const slot = new Uint8Array(FRAME_HEADER_BYTES + bodyBytes);
    const type = MESSAGE_TYPES.PROBE_DATA;
    void source.sendSlot(slot, { type, block: 0, bodyBytes, checkedBytes: 0, checkedCrc: 0 });
  }

  test('who never ends is sent away when his time is over', async () => {
    const { site, heard } = await begun();
    for (let ms = 0; ms < 5200; ms += 100) {
      sendData(site, 100);
      await site.clock.advance(100);
    }
    expect(names(heard).at(-1)).toBe('ERROR');
    expect(site.probe?.isMeasuring).toBe(false);
    site.expectUntouched();
  });

  test('who says nothing more is sent away when his time is over', async () => {
    const { site, heard } = await begun();
    await site.clock.advance(5200);
    expect(names(heard)).toEqual(['PROBE_ACK', 'ERROR']);
    expect(site.probe?.isMeasuring).toBe(false);
  });

  test('who counts otherwise than the destination is told so', async () => {
    const { site, heard } = await begun();
    sendData(site, 100);
    const end = encodeProbeEnd({ bytes: 100 });
    await site.source.send(MESSAGE_TYPES.PROBE_END, end);
    await site.clock.advance(10);
    expect(names(heard)).toEqual(['PROBE_ACK', 'ERROR']);
    expect(site.probe?.isMeasuring).toBe(false);
  });

  test.each([['HELLO'], ['PASS_BEGIN'], ['PAGE_BATCH'], ['GRANT'], ['JOIN']] as const)(
    'who sends %s in it is sent away',
    async (name) => {
      const { site, heard } = await begun();
      await site.source.send(MESSAGE_TYPES[name], new Uint8Array(1));
      await site.clock.advance(10);
      expect(names(heard).at(-1)).toBe('ERROR');
      expect(site.probe?.isMeasuring).toBe(false);
      site.expectUntouched();
    },
  );

  test('who closes leaves nothing behind', async () => {
    const { site } = await begun();
    sendData(site, 4096);
    site.source.destroy();
    await site.clock.advance(10);
    expect(site.probe?.isMeasuring).toBe(false);
  });
});
