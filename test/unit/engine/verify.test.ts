import { describe, expect, test } from 'vitest';
import { PAGE_BYTES, type VerifyMode } from '../../../src/base/index.ts';
import { EnginePair, type PairOptions, RecordingLedger } from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, fillGuest } from '../../support/guest-script.ts';

const LINK = { bandwidthBytesPerSecond: 100e6, latencyMs: 0.2 };
/** A page that the guest wrote in `fillGuest`. */
const PFN = 5;

function pairFor(verify: VerifyMode, options: PairOptions = {}): EnginePair {
  const pair = new EnginePair({
    link: LINK,
    sourceLedger: new RecordingLedger(),
    destinationLedger: new RecordingLedger(),
    sourceHooks: { beforePause: (machine) => dirtySparsely(machine, 1) },
    ...options,
    parameters: { verify },
  });
  fillGuest(pair.machine);
  return pair;
}

/** Damages a byte of guest RAM at the destination, as a defect of memory would. */
function damageDestination(pair: EnginePair): void {
  const { ram } = pair.arrived.block(0);
  ram[PFN * PAGE_BYTES + 17]! ^= 0x04;
}

describe('verify', () => {
  test.each<VerifyMode>(['after', 'strict'])(
    'verify=%s finds all pages identical',
    async (verify) => {
      const pair = pairFor(verify);
      const result = await pair.run();
      expect(result.source.status).toBe('completed');
      for (const info of [result.sourceInfo, result.destinationInfo]) {
        expect(info.verify).toEqual({ status: 'identical', pages: 4096, mismatches: [] });
      }
      const frames = pair.frames['a-to-b'];
      const before = frames.indexOf('VERIFY_END') < frames.indexOf('GRANT');
      expect(before).toBe(verify === 'strict');
      expect(result.sourceInfo.downtimeParts.verify !== undefined).toBe(verify === 'strict');
    },
  );

  test('verify=off compares nothing and says so', async () => {
    const pair = pairFor('off');
    const result = await pair.run();
    expect(result.source.status).toBe('completed');
    expect(result.sourceInfo.verify).toMatchObject({ status: 'skipped', reason: 'switched off' });
    expect(result.destinationInfo.verify.status).toBe('skipped');
    expect(pair.frames['a-to-b']).not.toContain('VERIFY_HASHES');
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });

  test('verify=strict finds a byte that changed, and hands nothing over', async () => {
    const pair = pairFor('strict', {
      onFrame: (frame, current) => {
        if (frame.name === 'SWITCHOVER_ACK') damageDestination(current);
        return undefined;
      },
    });
    const result = await pair.run();
    expect(result.source).toMatchObject({
      status: 'failed',
      error: { code: 'E_VERIFY_MISMATCH', guestOwner: 'source' },
    });
    expect(result.sourceInfo.verify).toEqual({
      status: 'mismatch',
      pages: 4096,
      mismatches: [`low:${PFN}`],
    });
    expect(result.destination.status).toBe('failed');
    expect(pair.runningMachines()).toEqual([pair.machine]);
    expect(pair.frames['a-to-b']).not.toContain('GRANT');
    const states = (pair.destinationLedger as RecordingLedger).states;
    expect(states).toEqual(['preparing 2', 'abandoned 2']);
  });

  test('verify=after reports a page that the source did not send as it is', async () => {
    const pair = pairFor('after', {
      onFrame: (frame, current) => {
        // The guest is paused: nobody may write any more, and no log says so.
        if (frame.name === 'SWITCHOVER') current.machine.block(1).ram[64 * PAGE_BYTES]! ^= 1;
        return undefined;
      },
    });
    pair.machine.write(1, 64, 5, Uint8Array.of(1));
    const result = await pair.run();
    expect(result.source.status).toBe('completed');
    for (const info of [result.sourceInfo, result.destinationInfo]) {
      expect(info.verify).toMatchObject({ status: 'mismatch', mismatches: ['high:64'] });
    }
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });

  test('verify=after reports a page that was noted wrongly at the destination', async () => {
    const pair = pairFor('after', {
      onFrame: (frame, current) => {
        if (frame.name === 'RESUMED') {
          const { bytes, layout } = current.arrived.block(0);
          bytes[layout.hashTable + PFN * 8]! ^= 1;
        }
        return undefined;
      },
    });
    const result = await pair.run();
    expect(result.sourceInfo.verify).toMatchObject({
      status: 'mismatch',
      mismatches: [`low:${PFN}`],
    });
  });

  test('verify=after is not disturbed by a guest that goes on writing', async () => {
    const pair = pairFor('after', {
      onFrame: (frame, current) => {
        if (frame.name === 'VERIFY_HASHES') dirtySparsely(current.arrived, 9);
        return undefined;
      },
    });
    const result = await pair.run();
    expect(result.sourceInfo.verify.status).toBe('identical');
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).not.toEqual([]);
  });

  test('verify names only the first few of many pages', async () => {
    const pair = pairFor('after', {
      onFrame: (frame, current) => {
        if (frame.name === 'RESUMED') {
          const { bytes, layout } = current.arrived.block(0);
          bytes.fill(0x77, layout.hashTable, layout.hashTable + layout.pageCount * 8);
        }
        return undefined;
      },
    });
    const { sourceInfo } = await pair.run();
    expect(sourceInfo.verify.status).toBe('mismatch');
    expect(sourceInfo.verify.mismatches.length).toBeGreaterThan(1);
    expect(sourceInfo.verify.mismatches.length).toBeLessThan(100);
    expect(sourceInfo.verify.mismatches[0]).toBe('low:0');
  });
});
