import { expect } from 'vitest';
import {
  AssertionError,
  type MigrationInfo,
  type OwnershipLedger,
  SimClock,
  SternaError,
  silentLogger,
  volatileLedger,
} from '../../../../src/base/index.ts';
import type { Channel } from '../../../../src/channel/index.ts';
import {
  IncomingMigration,
  type IncomingOptions,
  type IncomingOutcome,
  type Joining,
} from '../../../../src/destination/index.ts';
import { SimMachine } from '../../../../src/guest/index.ts';
import {
  type MachineDescription,
  type MachineFactory,
  SLOT_BYTES,
} from '../../../../src/guestmem/index.ts';
import { decodeGrant, decodeHello } from '../../../../src/protocol/index.ts';
import { CanaryAreas } from './canary-areas.ts';
import { bodyOf, nameOf } from './frames.ts';
import { UUID } from './honest-conversation.ts';
import { connect, type LinkOptions, RawPeer, WatchedChannel } from './raw-peer.ts';

/** What this destination can hold; HELLO may ask for 16 GiB. */
const RAM_BYTES_HERE = 64 * 2 ** 20;
/** Beyond every limit of the engine, and of the hostile waits. */
const LIMIT_MS = 120_000;
const UNTAKEN_FRAMES_MAX = 256;
const LOOK_MS = 100;

/** The guest is here and pages are missing: it waits for a source that comes again. */
interface PausedOutcome {
  readonly status: 'paused';
  readonly error?: undefined;
}

type TargetOutcome = IncomingOutcome | PausedOutcome;

/** A real destination with a hostile source, and everything that must hold of it. */
export class IncomingTarget {
  readonly clock = new SimClock();
  readonly peer: RawPeer;
  readonly channel: WatchedChannel;
  readonly ledger: OwnershipLedger = volatileLedger();
  private readonly engine: IncomingMigration;
  private readonly running: Promise<IncomingOutcome>;
  private readonly built: { machine: SimMachine; canaries: CanaryAreas[] }[] = [];
  private readonly destroyed = new Set<unknown>();
  private readonly broken: string[] = [];
  private hasAsked = false;
  private admitted: MachineDescription | undefined;
  private readonly grants = new Set<number>();
  private readonly hellos: number[] = [];

  constructor(options: LinkOptions = {}) {
    const { clock } = this;
    const connection = connect(clock, 'b', options);
    this.peer = new RawPeer(connection, 'a');
    this.channel = new WatchedChannel(clock, connection, 'b');
    this.engine = new IncomingMigration(this.options(this.channel));
    this.running = this.engine.run();
    this.watchGrants();
  }

  /** What the engine says of itself now. */
  get info(): MigrationInfo {
    return this.engine.info();
  }

  /** A further connection: what comes over it goes to an engine that finds this migration. */
  join(): { readonly peer: RawPeer; readonly outcome: Promise<IncomingOutcome> } {
    const { clock } = this;
    const connection = connect(clock, 'b', {});
    const peer = new RawPeer(connection, 'a');
    const joining: Joining = {
      find: (migrationId) =>
        migrationId === this.engine.info().migrationId ? this.engine : undefined,
      isHere: () => false,
      pause: () => {},
      yielded: () => {},
      mayYield: () => true,
    };
    const channel = new WatchedChannel(clock, connection, 'b');
    const engine = new IncomingMigration({ ...this.options(channel), joining });
    return { peer, outcome: engine.run() };
  }

  /**
   * Ends when the engine does, by itself or because the peer ends the connection now; or when it
   * waits for the source to come again.
   */
  async finish(silent: boolean): Promise<TargetOutcome> {
    if (!silent) this.peer.end();
    const limit = new AbortController();
    void this.clock.sleep(LIMIT_MS + 1, limit.signal);
    const over = Promise.race([this.running, this.paused(limit.signal)]);
    const outcome = await this.clock.runUntil(over, LIMIT_MS);
    limit.abort();
    await this.clock.advance(500);
    this.check(outcome);
    return outcome;
  }

  private options(channel: Channel): IncomingOptions {
    return {
      channel,
      clock: this.clock,
      ledger: this.ledger,
      log: silentLogger(),
      factory: this.factory(),
      expectedUuid: UUID,
      probing: { admit: () => undefined },
      startPaused: false,
      stallTimeoutMs: 5000,
      observer: { info: () => {} },
    };
  }

  private async paused(signal: AbortSignal): Promise<PausedOutcome> {
    while (!signal.aborted && this.engine.info().status !== 'postcopy-paused')
      await this.clock.sleep(LOOK_MS, signal);
    return { status: 'paused' };
  }

  private check(outcome: TargetOutcome): void {
    expect(this.broken).toEqual([]);
    for (const { canaries } of this.built)
      expect(canaries.every((canary) => canary.areIntact)).toBe(true);
    expect(this.channel.placeBytesMax).toBeLessThanOrEqual(SLOT_BYTES);
    expect(this.channel.untakenFramesMax).toBeLessThanOrEqual(UNTAKEN_FRAMES_MAX);
    const alive = this.built.filter(({ machine }) => !this.destroyed.has(machine));
    const record = this.ledger.read(UUID);
    if (outcome.status === 'completed' || outcome.status === 'paused') {
      expect(this.mayRun).toBe(true);
      expect(alive).toHaveLength(1);
      expect(record?.state).toBe('owner');
      return;
    }
    if (outcome.status === 'joined') {
      // It asked, and learnt that nothing is known here.
      expect(this.built).toEqual([]);
      expect(record).toBeUndefined();
      return;
    }
    const { error } = outcome;
    expectTyped(error);
    // Who only asked is told of no owner but in the answer.
    const owners = this.hasAsked ? ['source', 'unknown'] : ['source'];
    expect(owners).toContain(error.guestOwner);
    expect(alive).toHaveLength(0);
    expect(['abandoned', undefined]).toContain(record?.state);
  }

  /** GRANT came, for the epoch that follows that of HELLO. */
  private get mayRun(): boolean {
    return this.hellos.some((epoch) => this.grants.has(epoch + 1));
  }

  private watchGrants(): void {
    const { peer } = this;
    const send = peer.sendRaw.bind(peer);
    peer.sendRaw = (bytes) => {
      const name = nameOf(bytes);
      if (name === 'JOIN') this.hasAsked = true;
      if (name === 'GRANT') {
        const decoded = decodeGrant(bodyOf(bytes));
        if (decoded.kind === 'ok') this.grants.add(decoded.body.epoch);
      } else if (name === 'HELLO') {
        const decoded = decodeHello(bodyOf(bytes));
        if (decoded.kind === 'ok') this.hellos.push(decoded.body.guest.epoch);
      }
      send(bytes);
    };
  }

  private factory(): MachineFactory {
    const real = SimMachine.factory(this.clock);
    return {
      refusal: (description) => {
        const bytes = description.ramBlocks.reduce((sum, block) => sum + block.bytes, 0);
        const refused = real.refusal(description);
        if (refused !== undefined) return refused;
        if (bytes > RAM_BYTES_HERE)
          return { code: 'E_HANDSHAKE_RAM_LAYOUT', message: 'Too much for this destination' };
        this.admitted = description;
        return undefined;
      },
      create: async (description) => {
        if (description !== this.admitted) this.broken.push('a machine was built unasked');
        if (this.built.length > 0) this.broken.push('a second machine was built');
        await this.clock.sleep(1);
        const machine = (await real.create(description)) as SimMachine;
        this.watchResume(machine);
        const canaries = machine.memory.blocks.map(
          (block) => new CanaryAreas(block, 'destination'),
        );
        this.built.push({ machine, canaries });
        return machine;
      },
      destroy: async (machine) => {
        this.destroyed.add(machine);
      },
    };
  }

  private watchResume(machine: SimMachine): void {
    const resume = machine.resume.bind(machine);
    machine.resume = (reason) => {
      if (!this.mayRun) this.broken.push(`resumed ${reason} without GRANT`);
      if (this.destroyed.has(machine)) this.broken.push('a destroyed machine was resumed');
      resume(reason);
    };
  }
}

/** A failure that somebody thought of: not an exception that was wrapped on its way out. */
export function expectTyped(error: SternaError): void {
  expect(error).toBeInstanceOf(SternaError);
  expect(error.cause).not.toBeInstanceOf(AssertionError);
  const { cause } = error;
  if (cause !== undefined && !(cause instanceof SternaError)) throw cause;
}
