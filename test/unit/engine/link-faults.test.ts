import { describe, expect, test } from 'vitest';
import type { ErrorCode, GuestOwner } from '../../../src/base/index.ts';
import type { FrameFate, MemoryDirection } from '../../../src/channel/index.ts';
import type { MessageName } from '../../../src/protocol/index.ts';
import {
  EnginePair,
  type PairOptions,
  type PairResult,
  RecordingLedger,
} from '../../support/engine-pair.ts';
import { ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, fillGuest } from '../../support/guest-script.ts';

const TO: MemoryDirection = 'a-to-b';
const BACK: MemoryDirection = 'b-to-a';

/** Fails at the `nth` frame of that name. */
function failAt(
  direction: MemoryDirection,
  name: MessageName,
  fate: FrameFate,
  nth = 1,
): PairOptions {
  return {
    link: { bandwidthBytesPerSecond: 100e6, latencyMs: 0.1 },
    parameters: { downtimeLimitMs: 0 },
    sourceHooks: {
      beforeFlip: (machine, flip) => {
        if (flip === 2) dirtySparsely(machine, 1);
      },
      beforePause: (machine) => dirtySparsely(machine, 2, 5),
    },
    sourceLedger: new RecordingLedger(),
    destinationLedger: new RecordingLedger(),
    onFrame: (frame) =>
      frame.direction === direction && frame.name === name && frame.nth === nth ? fate : undefined,
  };
}

async function migrate(options: PairOptions): Promise<{ pair: EnginePair; result: PairResult }> {
  const pair = new EnginePair(options);
  fillGuest(pair.machine);
  return { pair, result: await pair.run() };
}

function statesOf(ledger: unknown): string[] {
  return (ledger as RecordingLedger).states;
}

/** The guest goes on at the source; nothing of it is left at the destination. */
function expectStayed(
  { pair, result }: { pair: EnginePair; result: PairResult },
  code: ErrorCode,
): void {
  expect(result.source).toMatchObject({ status: 'failed', error: { code, guestOwner: 'source' } });
  expect(result.destination.status).toBe('failed');
  expect(result.sourceInfo).toMatchObject({ status: 'failed', owner: 'source' });
  expect(pair.runningMachines()).toEqual([pair.machine]);
  expect(pair.factory.destroyed).toEqual(pair.factory.created);
  expect(statesOf(pair.destinationLedger).at(-1) ?? 'abandoned 2').toBe('abandoned 2');
  expect(statesOf(pair.sourceLedger).at(-1) ?? 'owner 1').toBe('owner 1');
}

const BEFORE_GRANT: readonly [MemoryDirection, MessageName, number][] = [
  [TO, 'HELLO', 1],
  [BACK, 'HELLO_ACK', 1],
  [TO, 'PING', 3],
  [TO, 'PASS_BEGIN', 1],
  [TO, 'PAGE_BATCH', 1],
  [TO, 'PASS_BEGIN', 2],
  [TO, 'STOPPED', 1],
  [TO, 'PAGE_BATCH', 4],
  [TO, 'MACHINE_STATE', 1],
  [TO, 'SWITCHOVER', 1],
  [BACK, 'SWITCHOVER_ACK', 1],
];

describe('a link that is cut', () => {
  test.each(BEFORE_GRANT)(
    'before GRANT (%s %s, number %i) leaves the guest at the source',
    async (direction, name, nth) => {
      const failed = await migrate(failAt(direction, name, 'cut', nth));
      expectStayed(failed, 'E_CHANNEL_RESET');
      expect(failed.pair.frames[direction].filter((other) => other === name)).toHaveLength(nth);
    },
  );

  test.each<[MessageName]>([['VERIFY_HASHES'], ['VERIFY_END']])(
    'before GRANT with verify=strict (%s) leaves the guest at the source',
    async (name) => {
      const options = failAt(TO, name, 'cut');
      const failed = await migrate({ ...options, parameters: { verify: 'strict' } });
      expectStayed(failed, 'E_CHANNEL_RESET');
    },
  );

  test('at GRANT leaves the guest paused at the source, abandoned by the destination', async () => {
    const { pair, result } = await migrate(failAt(TO, 'GRANT', 'cut'));
    expect(result.source).toMatchObject({
      status: 'failed',
      error: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown', detail: { epoch: 2 } },
    });
    expect(result.destination).toMatchObject({ status: 'failed', error: { guestOwner: 'source' } });
    expect(pair.runningMachines()).toEqual([]);
    expect(statesOf(pair.sourceLedger)).toEqual(['owner 1', 'granting 2']);
    expect(statesOf(pair.destinationLedger)).toEqual(['preparing 2', 'abandoned 2']);
    expect(result.sourceInfo).toMatchObject({ status: 'failed', owner: 'unknown' });
  });

  test('at RESUMED leaves the guest running at the destination alone', async () => {
    const { pair, result } = await migrate(failAt(BACK, 'RESUMED', 'cut'));
    expect(result.source).toMatchObject({
      status: 'failed',
      error: { code: 'E_OWNERSHIP_UNKNOWN', guestOwner: 'unknown' },
    });
    expect(result.destination.status).toBe('completed');
    expect(pair.runningMachines()).toEqual([pair.arrived]);
    expect(statesOf(pair.sourceLedger)).toEqual(['owner 1', 'granting 2']);
    expect(statesOf(pair.destinationLedger)).toEqual(['preparing 2', 'owner 2']);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });

  test.each<[MemoryDirection, MessageName]>([
    [TO, 'VERIFY_HASHES'],
    [TO, 'VERIFY_END'],
    [BACK, 'VERIFY_RESULT'],
    [BACK, 'GUEST_STARTED'],
    [TO, 'GOODBYE'],
  ])('after the switch (%s %s) undoes nothing', async (direction, name) => {
    const { pair, result } = await migrate(failAt(direction, name, 'cut'));
    expect(result.source).toEqual({ status: 'completed', error: undefined });
    expect(result.destination.status).toBe('completed');
    expect(pair.runningMachines()).toEqual([pair.arrived]);
    const hadResult = name === 'GUEST_STARTED' || name === 'GOODBYE';
    expect(result.sourceInfo.verify.status).toBe(hadResult ? 'identical' : 'skipped');
    expect(statesOf(pair.sourceLedger)).toEqual(['owner 1', 'granting 2', 'granted 2']);
  });
});

describe('a link that falls silent', () => {
  test.each<[MemoryDirection, MessageName, ErrorCode]>([
    // The destination waits for what follows its answer, gives up first, and resets the connection.
    [BACK, 'HELLO_ACK', 'E_CHANNEL_RESET'],
    [TO, 'PAGE_BATCH', 'E_CHANNEL_TIMEOUT'],
    [TO, 'MACHINE_STATE', 'E_CHANNEL_TIMEOUT'],
    [BACK, 'SWITCHOVER_ACK', 'E_CHANNEL_TIMEOUT'],
  ])(
    'before GRANT (%s %s) leaves the guest at the source, with %s',
    async (direction, name, code) => {
      const options = failAt(direction, name, 'stall');
      const failed = await migrate({ ...options, parameters: { stallTimeoutMs: 1500 } });
      expectStayed(failed, code);
      // Silence, the check for it, and a second to tell the peer.
      expect(failed.pair.clock.nowMs()).toBeLessThan(5000 + 4000);
    },
  );

  test('keeps the place of the destination no longer than that allows, whatever the source asks', async () => {
    const options = failAt(BACK, 'HELLO_ACK', 'stall');
    const parameters = { stallTimeoutMs: 3_600_000 };
    for (const [own, limitMs] of [[2000, 60_000] as const, [90_000, 90_000] as const]) {
      const failed = await migrate({ ...options, parameters, stallTimeoutMs: own });
      expectStayed(failed, 'E_CHANNEL_RESET');
      expect(failed.result.destination.error).toMatchObject({
        code: 'E_CHANNEL_TIMEOUT',
        detail: { limitMs },
      });
    }
  });

  test('at RESUMED ends with the guest at the destination alone', async () => {
    const options = failAt(BACK, 'RESUMED', 'stall');
    const { pair, result } = await migrate({ ...options, parameters: { stallTimeoutMs: 1500 } });
    expect(result.source.error).toMatchObject({
      code: 'E_OWNERSHIP_UNKNOWN',
      guestOwner: 'unknown',
      detail: { causeCode: 'E_CHANNEL_TIMEOUT' },
    });
    expect(pair.runningMachines()).toEqual([pair.arrived]);
  });

  test('after the switch does not keep either side waiting', async () => {
    const options = failAt(TO, 'VERIFY_END', 'stall');
    const { pair, result } = await migrate({ ...options, parameters: { stallTimeoutMs: 1500 } });
    expect([result.source.status, result.destination.status]).toEqual(['completed', 'completed']);
    expect(result.sourceInfo.verify.status).toBe('skipped');
    expect(pair.clock.nowMs()).toBeLessThan(5000 + 15_000);
  });

  test('before HELLO ends at the destination after ten seconds', async () => {
    const pair = new EnginePair();
    const outcome = await pair.clock.runUntil(
      Promise.race([
        pair.incoming.run(),
        // Something that keeps the clock going: the repeating timers of an engine do not.
        pair.clock.sleep(60_000).then(() => 'still waiting' as const),
      ]),
    );
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'E_CHANNEL_TIMEOUT' } });
    expect(pair.clock.nowMs()).toBeLessThan(5000 + 12_000);
  });
});

describe('a link that damages what it carries', () => {
  test.each<[MemoryDirection, MessageName, FrameFate, ErrorCode]>([
    [TO, 'HELLO', 'corrupt', 'E_PROTOCOL_CHECKSUM'],
    [TO, 'PAGE_BATCH', 'corrupt', 'E_PAGE_HASH'],
    [TO, 'PAGE_BATCH', 'drop', 'E_PROTOCOL_SEQUENCE'],
    [TO, 'PAGE_BATCH', 'duplicate', 'E_PROTOCOL_SEQUENCE'],
    [TO, 'MACHINE_STATE', 'corrupt', 'E_PROTOCOL_CHECKSUM'],
    [TO, 'SWITCHOVER', 'drop', 'E_PROTOCOL_SEQUENCE'],
  ])('is found at the destination (%s %s %s): %s', async (direction, name, fate, code) => {
    // The third batch is the first with pages; two tell which were never touched.
    const options = failAt(direction, name, fate, name === 'PAGE_BATCH' ? 3 : 1);
    const { pair, result } = await migrate({ ...options, parameters: { stallTimeoutMs: 1500 } });
    expect(result.destination).toMatchObject({ status: 'failed', error: { code } });
    expect(result.source).toMatchObject({ status: 'failed', error: { guestOwner: 'source' } });
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test('tells the source which page was damaged', async () => {
    const { pair, result } = await migrate(failAt(TO, 'PAGE_BATCH', 'corrupt', 3));
    expect(result.source.error).toMatchObject({
      code: 'E_PAGE_HASH',
      side: 'destination',
      guestOwner: 'source',
      detail: { block: 'low' },
    });
    expect(pair.frames[BACK].at(-1)).toBe('ERROR');
  });

  test.each<[MessageName, ErrorCode]>([
    ['HELLO_ACK', 'E_PROTOCOL_CHECKSUM'],
    // So short that its middle lies in the header.
    ['SWITCHOVER_ACK', 'E_PROTOCOL_BAD_HEADER'],
  ])('is found at the source (%s): %s', async (name, code) => {
    const failed = await migrate(failAt(BACK, name, 'corrupt'));
    expectStayed(failed, code);
  });

  test('in GRANT never lets the guest run twice', async () => {
    const { pair, result } = await migrate(failAt(TO, 'GRANT', 'corrupt'));
    expect(result.destination.status).toBe('failed');
    expect(result.source.status).toBe('failed');
    const owner = result.source.error?.guestOwner as GuestOwner;
    // It learned that the destination abandoned the guest, or it does not know: then nobody runs.
    expect(pair.runningMachines()).toEqual(owner === 'source' ? [pair.machine] : []);
    expect(['source', 'unknown']).toContain(owner);
  });
});
