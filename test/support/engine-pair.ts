import {
  defaultCapabilities,
  defaultParameters,
  type MigrationCapabilities,
  type MigrationInfo,
  type MigrationParameters,
  type OwnershipLedger,
  type OwnershipRecord,
  SimClock,
  SternaError,
  silentLogger,
  volatileLedger,
} from '../../src/base/index.ts';
import {
  type Channel,
  type FrameFate,
  type MemoryChannelPair,
  type MemoryDirection,
  type MemoryPairOptions,
  memoryChannelPair,
} from '../../src/channel/index.ts';
import { IncomingMigration, type IncomingOutcome } from '../../src/destination/index.ts';
import type { Machine, MachineRefusal } from '../../src/guestmem/index.ts';
import { type MessageName, messageName, migrationIdOf } from '../../src/protocol/index.ts';
import {
  type CodecHelpers,
  claimGuest,
  type MigrationOutcome,
  OutgoingMigration,
  type PolicyModule,
  type Spill,
} from '../../src/source/index.ts';
import { FakeFactory, FakeMachine, type FakeMachineHooks } from './fake-machine.ts';
import { TappedChannel } from './tapped-channel.ts';

/** A frame as it departs; `nth` counts frames of this name in this direction from 1. */
export interface SentFrame {
  readonly direction: MemoryDirection;
  readonly name: MessageName;
  readonly nth: number;
  /** 0: the first connection; further ones in the order in which they were made. */
  readonly connection: number;
}

export interface PairOptions {
  readonly clock?: SimClock;
  readonly source?: Machine;
  readonly sourceHooks?: FakeMachineHooks;
  readonly destinationHooks?: FakeMachineHooks;
  readonly parameters?: Partial<MigrationParameters>;
  readonly capabilities?: Partial<MigrationCapabilities>;
  /** Where the parameter `policy` is a path. */
  readonly policyModule?: PolicyModule;
  readonly link?: Omit<MemoryPairOptions, 'clock' | 'faults'>;
  /** Where further connections differ from the first. */
  readonly furtherLink?: Omit<MemoryPairOptions, 'clock' | 'faults'>;
  /**
   * Called for each frame; what it returns happens to it. A place for whatever a test does at that
   * moment.
   */
  readonly onFrame?: (frame: SentFrame, pair: EnginePair) => FrameFate | undefined;
  readonly sourceLedger?: OwnershipLedger;
  readonly destinationLedger?: OwnershipLedger;
  readonly codecHelpers?: CodecHelpers;
  readonly spill?: Spill;
  readonly expectedUuid?: string;
  readonly startPaused?: boolean;
  readonly refusal?: MachineRefusal;
  readonly buildMs?: number;
  readonly buildFailure?: SternaError;
  readonly stallTimeoutMs?: number;
  /**
   * The source can make further connections: called before each with its number, from 1 on. What it
   * throws is what the source meets instead of a connection; a promise is waited for before it.
   */
  readonly connect?: (
    connection: number,
    pair: EnginePair,
    signal: AbortSignal,
  ) => void | Promise<void>;
  /** Shown by further connections; undefined: HELLO has none. */
  readonly secret?: string | undefined;
  /** The process of the destination that further connections meet has never heard of the first. */
  readonly isRestarted?: () => boolean;
}

export interface PairResult {
  readonly source: MigrationOutcome;
  readonly destination: IncomingOutcome;
  readonly sourceInfo: MigrationInfo;
  readonly destinationInfo: MigrationInfo;
}

const RUN_LIMIT_MS = 600_000;
/** What further connections of the pair's migration show. */
export const PAIR_SECRET = '0123456789abcdef0123456789abcdef';

/** Both engines in one thread, over a connection in memory, on a simulated clock. */
export class EnginePair {
  readonly clock: SimClock;
  readonly machine: FakeMachine;
  readonly factory: FakeFactory;
  readonly sourceLedger: OwnershipLedger;
  readonly destinationLedger: OwnershipLedger;
  readonly sourceChannel: TappedChannel;
  readonly destinationChannel: Channel;
  readonly outgoing: OutgoingMigration;
  readonly incoming: IncomingMigration;
  /** Frames that departed, by direction and in order. */
  readonly frames: Readonly<Record<MemoryDirection, MessageName[]>> = {
    'a-to-b': [],
    'b-to-a': [],
  };
  /** What the source's observer was told. */
  readonly published: MigrationInfo[] = [];
  readonly cut: () => void;
  /** The source's ends of further connections. */
  readonly further: Channel[] = [];
  /** The destination's ends of them. */
  readonly furtherThere: Channel[] = [];
  /** What became of further connections at the destination. */
  readonly joined: Promise<IncomingOutcome>[] = [];
  private readonly options: PairOptions;
  private readonly cuts: (() => void)[] = [];

  constructor(options: PairOptions = {}) {
    this.clock = options.clock ?? new SimClock({ startMs: 5000 });
    const { clock } = this;
    // A test that passes another machine looks at that one.
    this.machine = (options.source ?? new FakeMachine(clock, options.sourceHooks)) as FakeMachine;
    this.sourceLedger = options.sourceLedger ?? volatileLedger();
    this.destinationLedger = options.destinationLedger ?? volatileLedger();
    this.factory = new FakeFactory(clock, {
      ...(options.refusal === undefined ? {} : { refusal: options.refusal }),
      ...(options.destinationHooks === undefined ? {} : { hooks: options.destinationHooks }),
      ...(options.buildMs === undefined ? {} : { buildMs: options.buildMs }),
      ...(options.buildFailure === undefined ? {} : { failure: options.buildFailure }),
    });
    this.options = options;
    const channels = this.open();
    this.cut = channels.cut;
    this.sourceChannel = new TappedChannel(channels.a);
    this.destinationChannel = channels.b;
    this.outgoing = new OutgoingMigration({
      machine: this.machine,
      channel: this.sourceChannel,
      clock,
      ledger: this.sourceLedger,
      log: silentLogger(),
      ...(options.connect === undefined ? {} : { connect: (signal) => this.connect(signal) }),
      ...('secret' in options && options.secret === undefined
        ? {}
        : { secret: options.secret ?? PAIR_SECRET }),
      migrationId: migrationIdOf(options.secret ?? PAIR_SECRET),
      peer: 'memory:destination',
      // No rate limit unless a test asks for one.
      parameters: { ...defaultParameters(), maxBandwidthBytesPerSecond: 0, ...options.parameters },
      codecHelpers: options.codecHelpers,
      ...(options.spill === undefined ? {} : { spill: options.spill }),
      capabilities: { ...defaultCapabilities(), ...options.capabilities },
      policyModule: options.policyModule,
      observer: { info: (info) => this.published.push(info) },
    });
    this.incoming = this.receive(this.destinationChannel);
  }

  /** Connections so far. */
  get connections(): number {
    return this.cuts.length;
  }

  /** Breaks the connection that was made last. */
  cutLast(): void {
    this.cuts.at(-1)?.();
  }

  /** The guest of the source was taken back, and runs there in that epoch: until it was told. */
  claim(
    claimedEpoch: number,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<boolean> {
    const { clock } = this;
    const secret = this.options.secret ?? PAIR_SECRET;
    const { uuid } = this.machine.description;
    const names = { uuid, secret, migrationId: migrationIdOf(secret), epoch: 2 };
    const connect = (given: AbortSignal) => this.connect(given);
    return claimGuest(
      { ...names, claimedEpoch },
      { connect, clock, log: silentLogger(), limitMs: 1000, signal },
    );
  }

  /** Another connection to the destination, as the source makes one; also for a stranger. */
  async connect(signal: AbortSignal = new AbortController().signal): Promise<Channel> {
    const due = this.options.connect?.(this.connections, this, signal);
    if (due !== undefined) await due;
    const { a, b } = this.open();
    this.joined.push(this.receive(b).run());
    this.further.push(a);
    this.furtherThere.push(b);
    return a;
  }

  private open(): MemoryChannelPair {
    const { options, clock } = this;
    const connection = this.connections;
    const channels = memoryChannelPair({
      latencyMs: 0.1,
      ...options.link,
      ...(connection > 0 ? options.furtherLink : {}),
      clock,
      faults: (direction, _index, header) => {
        const name = messageName(header.type);
        if (name === undefined) return 'deliver';
        const list = this.frames[direction];
        list.push(name);
        const nth = list.filter((other) => other === name).length;
        return options.onFrame?.({ direction, name, nth, connection }, this) ?? 'deliver';
      },
    });
    this.cuts.push(channels.cut);
    return channels;
  }

  private receive(channel: Channel): IncomingMigration {
    const { options, clock } = this;
    const isRestarted = () => options.isRestarted?.() ?? false;
    return new IncomingMigration({
      channel,
      clock,
      ledger: this.destinationLedger,
      log: silentLogger(),
      factory: this.factory,
      expectedUuid: options.expectedUuid,
      startPaused: options.startPaused ?? false,
      stallTimeoutMs: options.stallTimeoutMs ?? 10_000,
      joining: {
        find: (migrationId) => {
          const { migrationId: ours, status } = this.incoming.info();
          const isOver = ['completed', 'failed', 'cancelled'].includes(status);
          return !isRestarted() && migrationId === ours && !isOver ? this.incoming : undefined;
        },
        isHere: () => !isRestarted() && this.incoming.info().status === 'completed',
        pause: () => void this.arrived.pause('ownership'),
        yielded: () => {},
        mayYield: () => true,
      },
      observer: { info: () => {} },
    });
  }

  /**
   * Fails when the two do not come to an end within ten simulated minutes, because one waits for
   * the other.
   */
  async run(): Promise<PairResult> {
    const done = new AbortController();
    // An engine that waits for a peer that fell silent is woken by its repeating timers alone.
    void this.clock.sleep(RUN_LIMIT_MS + 1, done.signal);
    const both = Promise.all([this.outgoing.run(), this.incoming.run()]);
    const [source, destination] = await this.clock.runUntil(both, RUN_LIMIT_MS);
    done.abort();
    return {
      source,
      destination,
      sourceInfo: this.outgoing.info(),
      destinationInfo: this.incoming.info(),
    };
  }

  /** The machine at the destination. */
  get arrived(): FakeMachine {
    const machine = this.factory.created.at(-1);
    if (machine === undefined) throw new Error('No machine was built');
    return machine;
  }

  /** Machines that run their guest now; a destroyed one does not. */
  runningMachines(): FakeMachine[] {
    const { factory } = this;
    const alive = factory.created.filter((machine) => !factory.destroyed.includes(machine));
    return [this.machine, ...alive].filter((machine) => machine.isRunning);
  }
}

/** Of a host that takes no connection and refuses none: rejects when `signal` is raised. */
export function unanswered(signal: AbortSignal): Promise<void> {
  const cancelled = () => new SternaError('E_CANCELLED', 'Connecting was given up');
  return new Promise((_, reject) => {
    if (signal.aborted) reject(cancelled());
    signal.addEventListener('abort', () => reject(cancelled()), { once: true });
  });
}

/** Remembers every record, and fails at those that a test names. */
export class RecordingLedger implements OwnershipLedger {
  readonly written: OwnershipRecord[] = [];
  private readonly records = new Map<string, OwnershipRecord>();
  private readonly failing: readonly OwnershipRecord['state'][];

  constructor(failing: readonly OwnershipRecord['state'][] = []) {
    this.failing = failing;
  }

  read(uuid: string): OwnershipRecord | undefined {
    return this.records.get(uuid);
  }

  async write(record: OwnershipRecord): Promise<void> {
    if (this.failing.includes(record.state)) {
      throw new SternaError('E_STATE_DIRECTORY', 'No space left on device');
    }
    this.written.push(record);
    this.records.set(record.uuid, record);
  }

  get states(): string[] {
    return this.written.map(({ state, epoch }) => `${state} ${epoch}`);
  }
}
