import { describe, expect, test } from 'vitest';
import { type CodecChoice, PAGE_BYTES, SternaError } from '../../../src/base/index.ts';
import { compressBody } from '../../../src/guestmem/index.ts';
import { MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import type { CodecHelpers } from '../../../src/source/index.ts';
import { EnginePair, type PairOptions } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { noise } from '../../support/test-block.ts';

const NOISE = noise(1, PAGE_BYTES);
const TEXT = Buffer.from('the arctic tern flies from pole to pole and back '.repeat(90));

function pairOf(codec: CodecChoice, options: PairOptions = {}): EnginePair {
  const pair = new EnginePair({
    ...options,
    parameters: { codec, ...options.parameters },
    link: { bandwidthBytesPerSecond: 125e6 / 8, ...options.link },
  });
  fillGuest(pair);
  return pair;
}

/** 1200 pages of text, 50 of noise, and the rest as the fake machine has it. */
function fillGuest({ machine }: EnginePair): void {
  // The larger one.
  const block = machine.memory.blocks[1]!;
  for (let pfn = 100; pfn < 1350; pfn += 1) {
    const page = Buffer.alloc(PAGE_BYTES, TEXT);
    page.writeUInt32LE(pfn, 0);
    block.overwrite(pfn, pfn < 1300 ? page : NOISE);
  }
}

async function arrives(pair: EnginePair) {
  const result = await pair.run();
  expect([result.source.error, result.destination.error]).toEqual([undefined, undefined]);
  expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  expect(result.sourceInfo.verify.status).toBe('identical');
  return result;
}

/** Finishes bodies later, and the first one last. */
class LateHelpers implements CodecHelpers {
  readonly count = 1;
  readonly ready = 1;
  underWay = 0;
  bodies = 0;
  closed = false;
  failure: SternaError | undefined;
  private readonly pair: () => EnginePair;

  constructor(pair: () => EnginePair) {
    this.pair = pair;
  }

  prepare(): void {}

  async compress(...[block, request]: Parameters<CodecHelpers['compress']>) {
    this.underWay += 1;
    this.bodies += 1;
    await this.pair().clock.sleep(this.bodies % 2 === 1 ? 20 : 1);
    this.underWay -= 1;
    if (this.failure !== undefined) throw this.failure;
    return { made: compressBody(block, 1, request), ms: 0.5 };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

describe('the codec of a migration', () => {
  test.each<CodecChoice>(['auto', 'lz4', 'all'])(
    '%s sends text as LZ4, and RAM arrives',
    async (codec) => {
      // Of a link with a limit something is known from the first frame on.
      const pair = pairOf(codec, { parameters: { maxBandwidthBytesPerSecond: 10e6 } });
      const { sourceInfo, destinationInfo } = await arrives(pair);
      const { truth } = pair.sourceChannel;
      expect(truth.lz4Pages).toBeGreaterThanOrEqual(1200);
      expect(sourceInfo.pageKinds.lz4).toEqual({
        pages: truth.lz4Pages,
        bytes: truth.lz4Bytes + truth.lz4Pages * 16,
      });
      expect(destinationInfo.pageKinds.lz4).toEqual(sourceInfo.pageKinds.lz4);
      expect(destinationInfo.pageKinds.raw).toEqual(sourceInfo.pageKinds.raw);
      expect(sourceInfo.pageKinds.raw.pages).toBeGreaterThanOrEqual(50);
      expect(sourceInfo.compression?.pages).toBe(truth.lz4Pages + truth.lz4XbzrlePages);
      expect(sourceInfo.compression?.compressionRate).toBeGreaterThan(2);
      const whole = truth.lz4Pages * PAGE_BYTES - truth.lz4Bytes;
      expect(sourceInfo.compression?.savedBytes).toBeGreaterThanOrEqual(whole);
      expect(sourceInfo.codec).toMatchObject({ choice: codec, isAgreed: true, pages: true });
    },
  );

  test.each<CodecChoice>(['none', 'delta-lz4'])('%s leaves pages as they are', async (codec) => {
    const pair = pairOf(codec);
    const { sourceInfo } = await arrives(pair);
    expect(pair.sourceChannel.truth.lz4Pages).toBe(0);
    expect(sourceInfo.compression).toBeUndefined();
    expect(sourceInfo.codec).toEqual({
      choice: codec,
      isAgreed: codec !== 'none',
      pages: false,
      deltas: codec !== 'none',
    });
  });

  test('auto lets one frame go over a link that it does not know, and sees that it is slow', async () => {
    const pair = pairOf('auto', { link: { bandwidthBytesPerSecond: 1.25e6 } });
    const { sourceInfo } = await arrives(pair);
    // A frame of 256 pages, of which 64 are tried.
    expect(pair.sourceChannel.truth.lz4Pages).toBeGreaterThanOrEqual(1200 - 192);
    expect(sourceInfo.codec).toMatchObject({ choice: 'auto', pages: true });
  });

  test('auto sees as soon that it is fast, and compresses no more', async () => {
    const pair = pairOf('auto', { link: { bandwidthBytesPerSecond: 20e9 } });
    const { sourceInfo } = await arrives(pair);
    expect(pair.sourceChannel.truth.lz4Pages).toBeLessThanOrEqual(64);
    expect(sourceInfo.codec).toMatchObject({ choice: 'auto', pages: false });
  });

  test('a cold migration sends LZ4, too', async () => {
    const pair = pairOf('lz4', { parameters: { mode: 'stop' } });
    await arrives(pair);
    expect(pair.sourceChannel.truth.lz4Pages).toBeGreaterThanOrEqual(1200);
  });

  test.each(['postcopy', 'hybrid'] as const)(
    'mode %s pushes LZ4, and RAM arrives',
    async (mode) => {
      const pair = pairOf('all', { parameters: { mode }, connect: () => {} });
      await arrives(pair);
      expect(pair.sourceChannel.truth.lz4Pages).toBeGreaterThanOrEqual(1200);
    },
  );

  test('frames that helpers finish in another order go out in the order of their pages', async () => {
    let pair: EnginePair;
    const helpers = new LateHelpers(() => pair);
    pair = pairOf('all', {
      codecHelpers: helpers,
      capabilities: { xbzrle: true },
      link: { bandwidthBytesPerSecond: 1e9 },
    });
    const firstPages: number[] = [];
    pair.sourceChannel.onSlot = ({ type, checkedBytes }, body) => {
      const table = Buffer.from(body.subarray(body.length - checkedBytes));
      if (type === MESSAGE_TYPES.PAGE_BATCH && pair.machine.isRunning)
        firstPages.push(table.readUInt32LE(0));
    };
    await arrives(pair);
    expect(helpers.bodies).toBeGreaterThan(1);
    const firstPass = firstPages.slice(1, 1 + helpers.bodies);
    expect(firstPass).toEqual([...firstPass].sort((one, other) => one - other));
    expect(helpers.closed).toBe(true);
  });

  test('a helper that dies fails the migration, and the guest goes on at the source', async () => {
    let pair: EnginePair;
    const helpers = new LateHelpers(() => pair);
    helpers.failure = new SternaError('E_WORKER_DIED', 'Helper of the codec died');
    pair = pairOf('all', { codecHelpers: helpers });
    const { source } = await pair.run();
    expect(source).toMatchObject({
      status: 'failed',
      error: { code: 'E_WORKER_DIED', guestOwner: 'source' },
    });
    expect(pair.machine.isRunning).toBe(true);
    expect(helpers.closed).toBe(true);
  });
});
