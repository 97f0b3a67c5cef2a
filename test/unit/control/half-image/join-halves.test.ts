import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  PAGE_BYTES,
  silentLogger,
  systemClock,
  volatileLedger,
} from '../../../../src/base/index.ts';
import { openFileChannel } from '../../../../src/channel/index.ts';
import { type Half, writeHalf } from '../../../../src/control/half-image/half-writer.ts';
import { joinHalves } from '../../../../src/control/half-image/join-halves.ts';
import { IncomingMigration } from '../../../../src/destination/index.ts';
import {
  FAKE_BLOCKS,
  FAKE_DESCRIPTION,
  FakeFactory,
  ramDifferences,
} from '../../../support/fake-machine.ts';
import { halfGuest } from '../../../support/half-guest.ts';

const ALL = FAKE_BLOCKS.map(({ bytes }) =>
  Array.from({ length: bytes / PAGE_BYTES }, (_, pfn) => pfn),
);
const clock = systemClock();
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sterna-join-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const at = (name: string) => join(directory, name);

async function joined(source: Half, destination: Half) {
  await writeHalf(at('source'), source);
  await writeHalf(at('destination'), destination);
  const paths = { source: at('source'), destination: at('destination'), out: at('out') };
  return joinHalves({ ...paths, clock, log: silentLogger() });
}

/** Every page that is not among the first fifty of each block. */
function withoutFirst(): readonly (readonly number[])[] {
  return ALL.map((pages) => pages.slice(50));
}

test('joinHalves() makes a file that an ordinary destination loads and runs', async () => {
  const guest = halfGuest(60);
  // The guest has written page 3 since it came: the destination's is the newer one.
  const old = halfGuest(60);
  guest.machine.block(0).ram.writeUInt32LE(0xfeed, 3 * PAGE_BYTES);
  const theirs = withoutFirst().map((pages) => [3, ...pages]);
  const source = old.half('source', [
    Array.from({ length: 51 }, (_, pfn) => pfn),
    ALL[1] ?? [],
    [0],
  ]);
  const result = await joined(
    source,
    guest.half('destination', [theirs[0] ?? [], theirs[1] ?? [], []]),
  );
  expect(result).toMatchObject({ uuid: FAKE_DESCRIPTION.uuid, epoch: 3 });
  expect(result.sourcePages + result.destinationPages).toBe(4096);

  const factory = new FakeFactory(clock);
  const ledger = volatileLedger();
  const incoming = new IncomingMigration({
    channel: await openFileChannel(at('out'), clock),
    ...{ clock, ledger, factory, log: silentLogger() },
    expectedUuid: undefined,
    startPaused: false,
    stallTimeoutMs: 10_000,
    observer: { info: () => {} },
  });
  expect(await incoming.run()).toMatchObject({ status: 'completed' });
  expect(incoming.info()).toMatchObject({ epoch: 3, verify: { status: 'identical', pages: 4096 } });
  const [arrived] = factory.created;
  expect(arrived?.isRunning).toBe(true);
  expect(arrived?.loaded?.sections[0]?.bytes).toEqual(Uint8Array.from([1, 2, 3]));
  expect(ramDifferences(guest.memory, arrived?.memory ?? old.memory)).toEqual([]);
  expect(ledger.read(FAKE_DESCRIPTION.uuid)).toMatchObject({ state: 'owner', epoch: 3 });
});

const changes: readonly [string, (half: Half) => Half, string][] = [
  [
    'guests',
    (half) => withMachine(half, { uuid: FAKE_DESCRIPTION.uuid.replace('6', '7') }),
    'two guests',
  ],
  [
    'migrations',
    (half) => ({ ...half, head: { ...half.head, migrationId: 'other' } }),
    'two migrations',
  ],
  ['epochs', (half) => ({ ...half, head: { ...half.head, epoch: 3 } }), 'two epochs'],
  ['machines', (half) => withMachine(half, { config: { seed: 8 } }), 'two machines'],
  ['no machine state', (half) => ({ ...half, state: new Uint8Array(0) }), 'no machine state'],
];

function withMachine(half: Half, change: object): Half {
  return { ...half, head: { ...half.head, machine: { ...half.head.machine, ...change } } };
}

test.each(changes)('joinHalves() refuses halves of two: %s', async (_, change, message) => {
  const guest = halfGuest(10);
  const halves = [guest.half('source', ALL), change(guest.half('destination', []))] as const;
  const refused = joined(...halves);
  await expect(refused).rejects.toMatchObject({ code: 'E_HALF_IMAGE' });
  await expect(refused).rejects.toThrow(message);
  expect(existsSync(at('out'))).toBe(false);
});

test('joinHalves() refuses halves with a page that is in neither, and two of one side', async () => {
  const guest = halfGuest(10);
  const [source, destination] = [
    guest.half('source', [[0]]),
    guest.half('destination', withoutFirst()),
  ];
  await expect(joined(source, destination)).rejects.toMatchObject({
    message: 'Pages of the guest are in neither half',
    detail: { pages: 50 - 1 + 50 + 1 },
  });
  await rm(directory, { recursive: true });
  directory = await mkdtemp(join(tmpdir(), 'sterna-join-'));
  await expect(joined(destination, destination)).rejects.toThrow('not that of a source');
});
