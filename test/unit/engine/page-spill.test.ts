import { expect, test } from 'vitest';
import {
  defaultCapabilities,
  defaultParameters,
  type MigrationInfo,
  type OwnershipLedger,
  type OwnershipState,
  PAGE_BYTES,
  SimClock,
  SternaError,
  silentLogger,
  volatileLedger,
} from '../../../src/base/index.ts';
import {
  type Channel,
  type MemoryChannelPair,
  memoryChannelPair,
} from '../../../src/channel/index.ts';
import { IncomingMigration, type JoinTarget } from '../../../src/destination/index.ts';
import { migrationIdOf } from '../../../src/protocol/index.ts';
import {
  OutgoingMigration,
  type SourceHalf,
  type Spill,
  TakenUpMigration,
} from '../../../src/source/index.ts';
import {
  FAKE_DESCRIPTION,
  FakeFactory,
  FakeMachine,
  ramDifferences,
} from '../../support/fake-machine.ts';

const SECRET = '00112233445566778899aabbccddeeff';
const NAME = { migrationId: migrationIdOf(SECRET), peer: 'memory:destination' };
const { uuid } = FAKE_DESCRIPTION;

/** A spill in memory: pages by `block:pfn`. */
class FakeSpill implements Spill {
  readonly path = 'memory:spill';
  half: SourceHalf | undefined;
  removals = 0;
  readonly pages = new Map<string, Buffer>();
  private readonly failure: SternaError | undefined;

  constructor(failure?: SternaError) {
    this.failure = failure;
  }

  async write(half: SourceHalf, wrote: (bytes: number) => void): Promise<void> {
    this.half = half;
    if (this.failure !== undefined) throw this.failure;
    for (const block of half.memory.blocks) {
      for (const [first, end] of half.pages.runsOf(block)) {
        for (let pfn = first; pfn < end; pfn += 1) {
          const at = pfn * PAGE_BYTES;
          this.pages.set(
            `${block.layout.index}:${pfn}`,
            Buffer.from(block.ram.subarray(at, at + PAGE_BYTES)),
          );
        }
        wrote((end - first) * PAGE_BYTES);
      }
    }
  }

  async remove(): Promise<void> {
    this.removals += 1;
    this.pages.clear();
  }

  /** What a new process has of it. */
  restore(clock: SimClock): FakeMachine {
    const { half } = this;
    if (half === undefined) throw new RangeError('Nothing was written');
    const machine = new FakeMachine(clock);
    for (const { ram } of machine.memory.blocks) ram.fill(0);
    for (const [key, page] of this.pages) {
      const [block = 0, pfn = 0] = key.split(':').map(Number);
      page.copy(machine.block(block).ram, pfn * PAGE_BYTES);
    }
    machine.memory.blocks.forEach((block) => {
      block.setDirty(half.pages.bitmapOf(block));
      block.populate(half.pages.bitmapOf(block));
    });
    return machine;
  }
}

/** A destination with as many connections as it takes, and the machine of the source. */
class Site {
  readonly clock = new SimClock({ startMs: 5000 });
  readonly machine = new FakeMachine(this.clock);
  readonly factory = new FakeFactory(this.clock);
  readonly sourceLedger: OwnershipLedger = volatileLedger();
  readonly destinationLedger: OwnershipLedger = volatileLedger();
  readonly first: MemoryChannelPair;
  readonly incoming: IncomingMigration;
  readonly infos: MigrationInfo[] = [];
  /** The process of the destination is another one. */
  destinationIsNew = false;
  private readonly migrations: JoinTarget[] = [];

  constructor() {
    // Pages that a post-copy has to bring.
    for (const block of this.machine.memory.blocks) {
      for (let pfn = 0; pfn < Math.min(300, block.layout.pageCount); pfn += 1) {
        this.machine.write(block.layout.index, pfn, 8, Buffer.from(`page ${pfn}`));
      }
    }
    this.first = memoryChannelPair({ clock: this.clock, latencyMs: 0.1 });
    this.incoming = this.accept(this.first.b);
    this.migrations.push(this.incoming);
  }

  connect = async (): Promise<Channel> => {
    const { a, b } = memoryChannelPair({ clock: this.clock, latencyMs: 0.1 });
    void this.accept(b).run();
    return a;
  };

  options(machine: FakeMachine) {
    return {
      ...NAME,
      ...{ machine, clock: this.clock, ledger: this.sourceLedger, log: silentLogger() },
      secret: SECRET,
      parameters: {
        ...defaultParameters(),
        mode: 'postcopy' as const,
        maxPostcopyBandwidthBytesPerSecond: 400_000,
      },
      capabilities: defaultCapabilities(),
      observer: { info: (info: MigrationInfo) => void this.infos.push(info) },
    };
  }

  /** The first process of the source, which never comes back when its link is lost. */
  outgoing(spill: Spill): OutgoingMigration {
    return new OutgoingMigration({ ...this.options(this.machine), channel: this.first.a, spill });
  }

  takenUp(spill: FakeSpill): TakenUpMigration {
    const machine = spill.restore(this.clock);
    const options = { ...this.options(machine), connect: this.connect, epoch: 2, spill };
    options.parameters.maxPostcopyBandwidthBytesPerSecond = 0;
    return new TakenUpMigration(options);
  }

  /** Post-copy, with the spill written, and then the source and its link are gone. */
  async tear(spill: Spill): Promise<MigrationInfo> {
    const outgoing = this.outgoing(spill);
    void outgoing.run();
    void this.incoming.run();
    const torn = (async () => {
      while (outgoing.info().postcopy?.spill?.status !== 'durable') await this.clock.sleep(1);
    })();
    await this.clock.runUntil(torn, 60_000);
    const info = outgoing.info();
    this.first.cut();
    await this.clock.advance(1);
    return info;
  }

  private accept(channel: Channel): IncomingMigration {
    return new IncomingMigration({
      channel,
      ...{ clock: this.clock, ledger: this.destinationLedger, factory: this.factory },
      log: silentLogger(),
      expectedUuid: undefined,
      startPaused: false,
      stallTimeoutMs: 10_000,
      joining: {
        find: () => (this.destinationIsNew ? undefined : this.migrations[0]),
        isHere: () => false,
        pause: () => {},
        yielded: () => {},
        mayYield: () => true,
      },
      observer: { info: () => {} },
    });
  }
}

test('a new process sends what its predecessor had, faults first, and what it has is compared', async () => {
  const site = new Site();
  const spill = new FakeSpill();
  const { postcopy } = await site.tear(spill);
  expect(spill.half).toMatchObject({
    ...NAME,
    epoch: 2,
    secret: SECRET,
    machine: FAKE_DESCRIPTION,
  });
  expect(postcopy?.spill).toMatchObject({ status: 'durable', writtenBytes: 601 * PAGE_BYTES });
  const [arrived] = site.factory.created;
  expect(arrived?.access(0, 299)).toBe(false);
  const takenUp = site.takenUp(spill);
  expect(await site.clock.runUntil(takenUp.run(), 60_000)).toMatchObject({ status: 'completed' });
  expect(takenUp.info()).toMatchObject({
    status: 'completed',
    owner: 'destination',
    epoch: 2,
    postcopy: { remainingPages: 0, recoveries: 1, spill: { status: 'removed' } },
    // All that this process has, and no page that it has not.
    verify: { status: 'identical', pages: 601 },
  });
  expect(takenUp.info().postcopy?.requests).toBe(1);
  expect(spill.removals).toBe(1);
  expect(arrived?.access(0, 299)).toBe(true);
  expect(ramDifferences(site.machine.memory, arrived?.memory ?? site.machine.memory)).toEqual([]);
});

test('a spill that fails costs the migration nothing, and the record says so', async () => {
  const site = new Site();
  const spill = new FakeSpill(new SternaError('E_FILE', 'No space left on device'));
  const outgoing = site.outgoing(spill);
  outgoing.setParameters({ maxPostcopyBandwidthBytesPerSecond: 0 });
  const both = Promise.all([outgoing.run(), site.incoming.run()]);
  const [outcome] = await site.clock.runUntil(both, 60_000);
  expect(outcome).toMatchObject({ status: 'completed' });
  expect(outgoing.info()).toMatchObject({
    postcopy: { spill: { status: 'failed', error: { code: 'E_FILE' } } },
    verify: { status: 'identical', pages: 4096 },
  });
  // There is nothing to remove.
  expect(spill.removals).toBe(0);
});

test('pages that are neither at the destination nor in the spill are never made up', async () => {
  const site = new Site();
  const spill = new FakeSpill();
  await site.tear(spill);
  const { memory, pages } = spill.half as SourceHalf;
  const [block] = memory.blocks;
  // A spill without eight of the pages that were promised, and that have not come.
  if (block !== undefined) pages.bitmapOf(block).fill(0, 36, 37);
  const takenUp = site.takenUp(spill);
  void takenUp.run();
  await site.clock.advance(3_000);
  expect(takenUp.info()).toMatchObject({
    status: 'postcopy-paused',
    postcopy: { pausedError: { code: 'E_PAGE_REQUEST' } },
  });
  expect(site.factory.created[0]?.block(0).isReceived(36 * 8)).toBe(false);
  expect(spill.removals).toBe(0);
});

test.each<[OwnershipState, OwnershipState, string, string]>([
  ['granting', 'abandoned', 'GRANT never arrived', 'none'],
  ['granted', 'lost', 'the process that ran it is gone', 'unknown'],
  ['granting', 'lost', 'the process that ran it is gone', 'unknown'],
])(
  'a record %s, and a destination that says %s: the guest is lost',
  async (ours, theirs, text, guestOwner) => {
    const site = new Site();
    const spill = new FakeSpill();
    await site.tear(spill);
    site.destinationIsNew = true;
    const record = { uuid, epoch: 2, migrationId: NAME.migrationId, peer: undefined };
    await site.sourceLedger.write({ ...record, state: ours });
    await site.destinationLedger.write({ ...record, state: theirs });
    const takenUp = site.takenUp(spill);
    const outcome = await site.clock.runUntil(takenUp.run(), 60_000);
    expect(outcome).toMatchObject({
      status: 'failed',
      error: { code: 'E_GUEST_LOST', guestOwner },
    });
    expect(outcome.error?.message).toContain(text);
    expect(site.sourceLedger.read(uuid)).toMatchObject(
      theirs === 'abandoned' ? { state: 'owner', epoch: 1 } : { state: 'lost', epoch: 2 },
    );
    // What there is stays: an operator may want to look at it.
    expect(spill.removals).toBe(0);
  },
);

test('a destination that knows nothing is asked no more until somebody says so', async () => {
  const site = new Site();
  const spill = new FakeSpill();
  await site.tear(spill);
  site.destinationIsNew = true;
  await site.destinationLedger.write({
    ...{ uuid, epoch: 1, state: 'abandoned', migrationId: 'older', peer: undefined },
  });
  const takenUp = site.takenUp(spill);
  const running = takenUp.run();
  await site.clock.advance(30_000);
  expect(takenUp.info()).toMatchObject({
    status: 'postcopy-paused',
    postcopy: { pausedError: { code: 'E_RECOVERY_REFUSED', detail: { outcome: 'none' } } },
  });
  expect(takenUp.cancel()).toBe('too-late');
  site.destinationIsNew = false;
  takenUp.resume();
  expect(await site.clock.runUntil(running, 60_000)).toMatchObject({ status: 'completed' });
  expect(() => takenUp.resume()).toThrow('There is no migration in post-copy');
});
