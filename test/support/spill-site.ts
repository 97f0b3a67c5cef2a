import {
  defaultCapabilities,
  defaultParameters,
  type MigrationInfo,
  type OwnershipLedger,
  PAGE_BYTES,
  SimClock,
  type SternaError,
  silentLogger,
  volatileLedger,
} from '../../src/base/index.ts';
import {
  type Channel,
  type MemoryChannelPair,
  memoryChannelPair,
} from '../../src/channel/index.ts';
import { IncomingMigration, type JoinTarget } from '../../src/destination/index.ts';
import type { RamBlock } from '../../src/guestmem/index.ts';
import { migrationIdOf } from '../../src/protocol/index.ts';
import {
  OutgoingMigration,
  type SourceHalf,
  type Spill,
  TakenUpMigration,
} from '../../src/source/index.ts';
import { FakeFactory, FakeMachine, type FakeMachineHooks } from './fake-machine.ts';
import { bitmapOf } from './half-guest.ts';

export const SITE_SECRET = '00112233445566778899aabbccddeeff';
export const SITE_NAME = { migrationId: migrationIdOf(SITE_SECRET), peer: 'memory:destination' };
const PIECE_PAGES = 16;

export interface FakeSpillOptions {
  readonly failure?: SternaError;
  /** The pause behind each piece of 16 pages; absent: all is written at once. */
  readonly pause?: () => Promise<void>;
}

/** A spill in memory: pages by `block:pfn`. */
export class FakeSpill implements Spill {
  readonly path = 'memory:spill';
  half: SourceHalf | undefined;
  removals = 0;
  readonly pages = new Map<string, Buffer>();
  private readonly options: FakeSpillOptions;

  constructor(options: FakeSpillOptions = {}) {
    this.options = options;
  }

  async write(half: SourceHalf, wrote: (bytes: number) => void): Promise<void> {
    this.half = half;
    const { failure, pause } = this.options;
    if (failure !== undefined) throw failure;
    for (const block of half.memory.blocks) {
      for (const [start, end] of half.pages.runsOf(block)) {
        for (let first = start; first < end; first += PIECE_PAGES) {
          const count = Math.min(PIECE_PAGES, end - first);
          for (let pfn = first; pfn < first + count; pfn += 1) this.keep(half, block, pfn);
          wrote(count * PAGE_BYTES);
          await pause?.();
        }
      }
    }
  }

  async remove(): Promise<void> {
    this.removals += 1;
    this.pages.clear();
  }

  /** What a new process has of it. */
  restore(clock: SimClock): FakeMachine {
    if (this.half === undefined) throw new RangeError('Nothing was written');
    const machine = new FakeMachine(clock);
    for (const block of machine.memory.blocks) {
      const { index, pageCount } = block.layout;
      const kept: number[] = [];
      block.ram.fill(0);
      for (const [key, page] of this.pages) {
        const [of, pfn = 0] = key.split(':').map(Number);
        if (of !== index) continue;
        page.copy(block.ram, pfn * PAGE_BYTES);
        kept.push(pfn);
      }
      block.setDirty(bitmapOf(pageCount, kept));
      block.populate(bitmapOf(pageCount, kept));
    }
    return machine;
  }

  private keep({ isReplaced }: SourceHalf, block: RamBlock, pfn: number): void {
    if (isReplaced?.(block, pfn)) return;
    const page = block.ram.subarray(pfn * PAGE_BYTES, (pfn + 1) * PAGE_BYTES);
    this.pages.set(`${block.layout.index}:${pfn}`, Buffer.from(page));
  }
}

export interface SpillSiteOptions {
  readonly journal?: boolean;
  readonly destinationHooks?: FakeMachineHooks;
}

/** A destination with as many connections as it takes, and the machine of the source. */
export class SpillSite {
  readonly clock = new SimClock({ startMs: 5000 });
  readonly machine = new FakeMachine(this.clock);
  readonly factory: FakeFactory;
  readonly sourceLedger: OwnershipLedger = volatileLedger();
  readonly destinationLedger: OwnershipLedger = volatileLedger();
  readonly first: MemoryChannelPair;
  readonly incoming: IncomingMigration;
  readonly infos: MigrationInfo[] = [];
  /** The process of the destination is another one. */
  destinationIsNew = false;
  private readonly migrations: JoinTarget[] = [];
  private readonly hasJournal: boolean;

  constructor({ journal = false, destinationHooks = {} }: SpillSiteOptions = {}) {
    this.hasJournal = journal;
    this.factory = new FakeFactory(this.clock, { hooks: destinationHooks });
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
      ...SITE_NAME,
      ...{ machine, clock: this.clock, ledger: this.sourceLedger, log: silentLogger() },
      secret: SITE_SECRET,
      parameters: {
        ...defaultParameters(),
        mode: 'postcopy' as const,
        maxPostcopyBandwidthBytesPerSecond: 400_000,
        postcopyJournalIntervalMs: 20,
      },
      capabilities: { ...defaultCapabilities(), 'x-postcopy-journal': this.hasJournal },
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
