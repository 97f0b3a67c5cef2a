import {
  defaultCapabilities,
  type MigrationInfo,
  SternaError,
  silentLogger,
} from '../../base/index.ts';
import { type Channel, memoryChannelPair } from '../../channel/index.ts';
import {
  IncomingMigration,
  type IncomingOptions,
  type IncomingOutcome,
} from '../../destination/index.ts';
import { messageName, migrationIdOf } from '../../protocol/index.ts';
import { type MigrationOutcome, OutgoingMigration } from '../../source/index.ts';
import { OutcomeCheck } from './checks/outcome-check.ts';
import { Dice } from './dice.ts';
import type { FaultPlan, LinkDirection, Side } from './fault-plan.ts';
import { FrameFaults } from './frame-faults.ts';
import { ObservedChannel } from './observed-channel.ts';
import { Operator } from './operator.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { LedgerCounts } from './simulated-ledger.ts';
import type { World } from './world.ts';

/** The process ended before its engine did. */
export interface KilledOutcome {
  readonly status: 'killed';
  readonly error?: undefined;
}

/** The guest runs there, and nobody is left who has the pages that it lacks. */
export interface StrandedOutcome {
  readonly status: 'stranded';
  readonly error?: undefined;
}

export type SourceOutcome = MigrationOutcome | KilledOutcome;
export type DestinationOutcome = IncomingOutcome | KilledOutcome | StrandedOutcome;

export interface AttemptResult {
  readonly from: string;
  readonly to: string;
  readonly outgoing: SourceOutcome;
  readonly incoming: DestinationOutcome;
  readonly source: MigrationInfo;
  readonly destination: MigrationInfo;
  /** Frames that departed in each direction: the indexes at which a fault can be put. */
  readonly frames: Readonly<Record<LinkDirection, number>>;
  /** How many of the planned places in the streams were reached. */
  readonly hits: number;
  /** What each side had to record, and what its disk refused of that. */
  readonly ledgers: Readonly<Record<Side, LedgerCounts>>;
}

/** A migration that has not ended after this has hung: the longest limit of the engines is 60 s. */
const LIMIT_MS = 300_000;
/** Both hosts are watched for this long after the end: what wakes up late is seen. */
const AFTERWARDS_MS = 60;
/** Beyond every limit after which a destination gives up a source that is gone. */
const STRANDED_MS = 2_000;
const KILLED: KilledOutcome = { status: 'killed' };

/** One migration from host to host, and everything that must hold of it. */
export class MigrationAttempt {
  private readonly world: World;
  private readonly source: SimulatedHost;
  private readonly destination: SimulatedHost;
  private readonly fault: FaultPlan;
  private readonly number: number;
  private readonly faults: FrameFaults;
  private readonly restarts: Promise<void>[] = [];
  private connections = 0;
  /** What the destination has under way: where further connections find it. */
  private active: IncomingMigration | undefined;
  private readonly statuses = new Map<SimulatedHost, string>();

  constructor(
    world: World,
    source: SimulatedHost,
    destination: SimulatedHost,
    fault: FaultPlan,
    number: number,
  ) {
    this.world = world;
    this.source = source;
    this.destination = destination;
    this.fault = fault;
    this.number = number;
    this.faults = new FrameFaults({
      fault,
      breaks: fault.kind === 'none' ? [] : world.plan.breaks,
      kill: (side) => this.kill(side),
      hit: (direction, text) => {
        const host = direction === 'to-destination' ? source : destination;
        this.note(host, text);
        world.log.add({ kind: 'broke', host });
      },
    });
  }

  /** Throws an AssertionError when the migration hangs. */
  async run(): Promise<AttemptResult> {
    const { world, source, destination, fault } = this;
    const { clock, log } = world;
    const check = new OutcomeCheck(world, source);
    world.attemptBegins();
    for (const host of [source, destination]) host.channels.length = 0;
    log.add({ kind: 'attempt', host: source, to: destination });
    const before = { source: source.ledger.counts, destination: destination.ledger.counts };
    this.breakHosts();
    const [near, far] = this.open();
    const incoming = this.incoming(far);
    this.active = incoming;
    const outgoing = this.outgoing(near);
    const stopUsers = this.letUsersAct(outgoing, incoming);
    // Timers that only repeat do not keep a run going, and some limits are found by those alone.
    const limit = new AbortController();
    void clock.sleep(LIMIT_MS, limit.signal);
    const processes = [source.process, destination.process] as const;
    const operator = this.operatorOf(outgoing);
    const sourceEnds = this.endOf(outgoing, operator);
    const ends = Promise.all([sourceEnds, this.endAt(incoming, sourceEnds)]);
    const outcomes = await clock.runUntil(ends, LIMIT_MS);
    stopUsers();
    operator.end();
    await clock.runUntil(Promise.all(this.restarts), LIMIT_MS);
    limit.abort();
    await clock.advance(AFTERWARDS_MS);
    // One that was over already may have been killed since.
    const end = {
      outgoing: processes[0].isAlive ? outcomes[0] : KILLED,
      incoming: processes[1].isAlive ? outcomes[1] : KILLED,
    };
    const infos = { sourceInfo: outgoing.info(), destinationInfo: incoming.info() };
    check.check({ source, destination, fault, hits: this.faults.hits, ...end, ...infos });
    if (end.outgoing.error?.code === 'E_TAKEN_BACK') world.ram.checkAll(source);
    else if (end.incoming.status === 'completed') world.ram.checkAll(destination);
    const ledgers = this.ledgersSince(before);
    this.mendHosts();
    if (end.incoming.status === 'stranded') destination.kill();
    if (!destination.process.isAlive) await clock.runUntil(destination.restart(false));
    return {
      from: source.name,
      to: destination.name,
      ...end,
      source: infos.sourceInfo,
      destination: infos.destinationInfo,
      frames: this.faults.counts,
      hits: this.faults.hits,
      ledgers,
    };
  }

  private async endOf(outgoing: OutgoingMigration, operator: Operator): Promise<SourceOutcome> {
    const { source, world } = this;
    const outcome = (await source.process.outcomeOf(outgoing.run())) ?? KILLED;
    if (outcome.status !== 'completed') world.log.add({ kind: 'gave-up', host: source });
    // A destination that is not there any more is there again, in a new process, a while after.
    await operator.claim();
    return outcome;
  }

  /** A destination in post-copy waits for its source for ever; here, a while after it ended. */
  private async endAt(
    incoming: IncomingMigration,
    sourceEnds: Promise<SourceOutcome>,
  ): Promise<DestinationOutcome> {
    const { destination, world } = this;
    const { process } = destination;
    const ended = process.outcomeOf(incoming.run()).then((outcome) => {
      this.active = undefined;
      return outcome;
    });
    const stranded = sourceEnds.then(async (outcome): Promise<StrandedOutcome> => {
      const waitMs = 3 * world.plan.parameters.stallTimeoutMs + STRANDED_MS;
      await world.clock.sleep(outcome.status === 'completed' ? LIMIT_MS : waitMs);
      return { status: 'stranded' };
    });
    return (await Promise.race([ended, stranded])) ?? { status: 'killed' };
  }

  private outgoing(channel: Channel): OutgoingMigration {
    const { world, source, destination } = this;
    const { guest, process } = source;
    const { plan } = world;
    if (guest === undefined) throw new RangeError(`${source.name} has no guest to migrate`);
    const connect = plan.recovery.connects ? { connect: () => this.connect() } : {};
    const secret = secretOf(plan.seed, this.number);
    return new OutgoingMigration({
      machine: world.parts.machine?.(guest, source) ?? guest,
      channel,
      ...connect,
      secret,
      clock: process.clock,
      ledger: this.ledgerOf(source),
      log: silentLogger(),
      migrationId: migrationIdOf(secret),
      peer: destination.name,
      parameters: { ...plan.parameters, multifdChannels: Math.max(1, plan.multifdChannels) },
      capabilities: {
        ...defaultCapabilities(),
        xbzrle: plan.xbzrle,
        'postcopy-preempt': plan.preempt && plan.recovery.connects,
        'x-postcopy-journal': plan.journal,
        multifd: plan.multifdChannels > 0 && plan.recovery.connects,
      },
      observer: { info: (info) => this.noteStatus(source, info) },
    });
  }

  private incoming(channel: Channel): IncomingMigration {
    const { world, destination } = this;
    const options: IncomingOptions = {
      channel,
      clock: destination.process.clock,
      ledger: this.ledgerOf(destination),
      log: silentLogger(),
      factory: destination.factory(),
      expectedUuid: world.uuid,
      startPaused: world.plan.startPaused,
      stallTimeoutMs: world.plan.parameters.stallTimeoutMs,
      joining: {
        find: (migrationId) =>
          this.active?.info().migrationId === migrationId && !isOver(this.active)
            ? this.active
            : undefined,
        isHere: () => destination.guest !== undefined,
        pause: () => void destination.guest?.pause('ownership'),
        yielded: () => destination.yieldGuest(),
        mayYield: () => true,
      },
      observer: { info: (info) => this.noteStatus(destination, info) },
    };
    return new IncomingMigration(world.parts.incoming?.(options, destination) ?? options);
  }

  private ledgerOf(host: SimulatedHost): IncomingOptions['ledger'] {
    const ledger = host.process.ledger(host.ledger);
    return this.world.parts.ledger?.(ledger, host) ?? ledger;
  }

  /** A further connection of the source to whatever process the destination has now. */
  private async connect(): Promise<Channel> {
    const { source, destination, world } = this;
    await source.process.clock.sleep(world.plan.recovery.connectMs);
    if (!destination.process.isAlive) {
      throw new SternaError('E_CHANNEL_REFUSED', 'Nobody listens in this simulation');
    }
    const [near, far] = this.open();
    void this.incoming(far).run();
    return near;
  }

  private open(): [ObservedChannel, ObservedChannel] {
    const { world, faults } = this;
    const { plan, clock } = world;
    const { latencyMs, bandwidthBytesPerSecond, bufferBytes, pieceBytesMax } = plan.link;
    const dice = new Dice(plan.seed, 2 + this.number + 16 * this.connections);
    this.connections += 1;
    const { a, b } = memoryChannelPair({
      clock,
      latencyMs,
      bandwidthBytesPerSecond,
      bufferBytes,
      ...(pieceBytesMax === 0 ? {} : { pieceBytes: () => dice.between(1, pieceBytesMax) }),
      faults: (direction, _index, { type }) =>
        faults.decide(direction === 'a-to-b' ? 'to-destination' : 'to-source', messageName(type)),
    });
    return [this.observe(this.source, a), this.observe(this.destination, b)];
  }

  private observe(host: SimulatedHost, inner: Channel): ObservedChannel {
    const { log, buffers } = this.world;
    const channel = new ObservedChannel(inner, host.process, {
      sends: (frame) => log.add({ kind: 'sends', host, ...frame }),
      receives: (frame) => log.add({ kind: 'receives', host, ...frame }),
      placed: (_header, placeBytes) => buffers.placed(host.name, placeBytes),
    });
    host.channels.push(channel);
    return channel;
  }

  /** What people do meanwhile. Returns what ends it. */
  private letUsersAct(outgoing: OutgoingMigration, incoming: IncomingMigration): () => void {
    const { source, destination, fault, world } = this;
    const { clock, plan } = world;
    const stop = new AbortController();
    const later = async (ms: number, act: () => void) => {
      await clock.sleep(ms, stop.signal);
      if (!stop.signal.aborted && source.process.isAlive) act();
    };
    if (fault.kind === 'cancel')
      void later(fault.atMs, () => this.note(source, `cancel: ${outgoing.cancel()}`));
    if (plan.postcopyAtMs !== undefined && plan.parameters.mode === 'hybrid')
      void later(plan.postcopyAtMs, () => outgoing.startPostcopy());
    if (fault.kind === 'pause-link') {
      const side = fault.side === 'source' ? outgoing : incoming;
      void later(fault.atMs, () => {
        if (side.info().status !== 'postcopy-active') return;
        world.log.add({ kind: 'broke', host: destination });
        side.pauseLink();
      });
    }
    return () => stop.abort();
  }

  private operatorOf(outgoing: OutgoingMigration): Operator {
    const { world, source, destination } = this;
    return new Operator({
      secret: secretOf(world.plan.seed, this.number),
      ...{ world, source, destination, outgoing },
      connect: () => this.connect(),
      note: (text) => this.note(source, text),
    });
  }

  private kill(side: Side): void {
    const { fault, world } = this;
    const host = this[side];
    // Behind the frame whose fate is being decided.
    if (side === 'destination') this.active = undefined;
    host.kill();
    if (fault.kind !== 'kill') return;
    const restart = async () => {
      await world.clock.sleep(fault.restartMs);
      await host.restart(fault.boots && side === 'source');
    };
    this.restarts.push(restart());
  }

  private ledgersSince(before: AttemptResult['ledgers']): AttemptResult['ledgers'] {
    const since = (side: Side) => {
      const { records, refused } = this[side].ledger.counts;
      return { records: records - before[side].records, refused: refused - before[side].refused };
    };
    return { source: since('source'), destination: since('destination') };
  }

  private breakHosts(): void {
    const { fault } = this;
    if (fault.kind === 'factory') this.destination.factoryFault = fault.how;
    if (fault.kind === 'ledger') this[fault.side].ledger.breakWith(fault);
  }

  private mendHosts(): void {
    this.destination.factoryFault = undefined;
    for (const host of [this.source, this.destination]) host.ledger.breakWith(undefined);
  }

  private noteStatus(host: SimulatedHost, { status, owner }: MigrationInfo): void {
    const text = `status ${status}, owner ${owner}`;
    if (this.statuses.get(host) === text) return;
    this.statuses.set(host, text);
    this.note(host, text);
  }

  private note(host: SimulatedHost, text: string): void {
    this.world.log.add({ kind: 'note', host, text });
  }
}

/** A source draws it at random. Here each attempt has its own, and the same in each replay. */
function secretOf(seed: number, attempt: number): string {
  return [seed, attempt].map((word) => word.toString(16).padStart(16, '0')).join('');
}

function isOver(incoming: IncomingMigration): boolean {
  return ['failed', 'cancelled'].includes(incoming.info().status);
}
