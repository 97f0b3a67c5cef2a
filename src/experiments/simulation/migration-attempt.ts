import { defaultCapabilities, type MigrationInfo, silentLogger } from '../../base/index.ts';
import { type FrameFate, type MemoryChannelPair, memoryChannelPair } from '../../channel/index.ts';
import { IncomingMigration, type IncomingOutcome } from '../../destination/index.ts';
import { type FrameHeader, messageName } from '../../protocol/index.ts';
import { type MigrationOutcome, OutgoingMigration } from '../../source/index.ts';
import { OutcomeCheck } from './checks/outcome-check.ts';
import { Dice } from './dice.ts';
import type { FaultPlan, LinkDirection } from './history-plan.ts';
import { ObservedChannel } from './observed-channel.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { World } from './world.ts';

export interface AttemptResult {
  readonly from: string;
  readonly to: string;
  readonly outgoing: MigrationOutcome;
  readonly incoming: IncomingOutcome;
  readonly source: MigrationInfo;
  readonly destination: MigrationInfo;
  /** Frames that departed in each direction: the indexes at which a fault can be put. */
  readonly frames: Readonly<Record<LinkDirection, number>>;
  /** A frame met the fate that was planned for it. */
  readonly frameWasHit: boolean;
}

/** A migration that has not ended after this has hung: the longest limit of the engines is 30 s. */
const LIMIT_MS = 120_000;
/** Both hosts are watched for this long after the end: what wakes up late is seen. */
const AFTERWARDS_MS = 60;

/** One migration from host to host over a link of its own, and everything that must hold of it. */
export class MigrationAttempt {
  private readonly world: World;
  private readonly source: SimulatedHost;
  private readonly destination: SimulatedHost;
  private readonly fault: FaultPlan;
  private readonly number: number;
  private readonly frames: Record<LinkDirection, number> = { 'to-destination': 0, 'to-source': 0 };
  private frameWasHit = false;

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
  }

  /** Throws an AssertionError when the migration hangs. */
  async run(): Promise<AttemptResult> {
    const { world, source, destination, fault } = this;
    const { clock, log, plan } = world;
    const check = new OutcomeCheck(log, plan, source);
    world.attemptBegins();
    log.add({ kind: 'attempt', host: source, to: destination });
    this.breakHosts();
    const link = this.connect();
    const incoming = this.incoming(link);
    const outgoing = this.outgoing(link);
    if (fault.kind === 'cancel') {
      void clock.sleep(fault.atMs).then(() => this.note(source, `cancel: ${outgoing.cancel()}`));
    }
    // Timers that only repeat do not keep a run going, and some limits are found by those alone.
    const limit = new AbortController();
    void clock.sleep(LIMIT_MS, limit.signal);
    const [outgoingOutcome, incomingOutcome] = await clock.runUntil(
      Promise.all([outgoing.run(), incoming.run()]),
      LIMIT_MS,
    );
    limit.abort();
    await clock.advance(AFTERWARDS_MS);
    const end = {
      outgoing: outgoingOutcome,
      incoming: incomingOutcome,
      sourceInfo: outgoing.info(),
      destinationInfo: incoming.info(),
    };
    check.check({ source, destination, fault, ...end });
    this.mendHosts();
    return {
      from: source.name,
      to: destination.name,
      outgoing: end.outgoing,
      incoming: end.incoming,
      source: end.sourceInfo,
      destination: end.destinationInfo,
      frames: this.frames,
      frameWasHit: this.frameWasHit,
    };
  }

  private outgoing(link: MemoryChannelPair): OutgoingMigration {
    const { world, source, destination } = this;
    const { guest } = source;
    if (guest === undefined) throw new RangeError(`${source.name} has no guest to migrate`);
    return new OutgoingMigration({
      machine: world.parts.machine?.(guest, source) ?? guest,
      channel: this.observe(source, link.a),
      clock: world.clock,
      ledger: world.parts.ledger?.(source.ledger, source) ?? source.ledger,
      log: silentLogger(),
      migrationId: `sim-${world.plan.seed}-${this.number}`,
      peer: destination.name,
      parameters: world.plan.parameters,
      capabilities: { ...defaultCapabilities(), xbzrle: world.plan.xbzrle },
      observer: { info: (info) => this.noteStatus(source, info) },
    });
  }

  private incoming(link: MemoryChannelPair): IncomingMigration {
    const { world, destination } = this;
    return new IncomingMigration({
      channel: this.observe(destination, link.b),
      clock: world.clock,
      ledger: world.parts.ledger?.(destination.ledger, destination) ?? destination.ledger,
      log: silentLogger(),
      factory: destination.factory(),
      expectedUuid: world.uuid,
      startPaused: world.plan.startPaused,
      stallTimeoutMs: world.plan.parameters.stallTimeoutMs,
      observer: { info: (info) => this.noteStatus(destination, info) },
    });
  }

  private readonly statuses = new Map<SimulatedHost, string>();

  private noteStatus(host: SimulatedHost, { status, owner }: MigrationInfo): void {
    const text = `status ${status}, owner ${owner}`;
    if (this.statuses.get(host) === text) return;
    this.statuses.set(host, text);
    this.note(host, text);
  }

  private observe(host: SimulatedHost, inner: MemoryChannelPair['a']): ObservedChannel {
    const { log, buffers } = this.world;
    host.channel = new ObservedChannel(inner, {
      sends: (frame) => log.add({ kind: 'sends', host, ...frame }),
      receives: (frame) => log.add({ kind: 'receives', host, ...frame }),
      placed: (_header, placeBytes) => buffers.placed(host.name, placeBytes),
    });
    return host.channel;
  }

  private connect(): MemoryChannelPair {
    const { plan, clock } = this.world;
    const { pieceBytesMax } = plan.link;
    const dice = new Dice(plan.seed, 2 + this.number);
    return memoryChannelPair({
      clock,
      latencyMs: plan.link.latencyMs,
      bandwidthBytesPerSecond: plan.link.bandwidthBytesPerSecond,
      bufferBytes: plan.link.bufferBytes,
      ...(pieceBytesMax === 0 ? {} : { pieceBytes: () => dice.between(1, pieceBytesMax) }),
      faults: (direction, index, header) =>
        this.decideFate(direction === 'a-to-b' ? 'to-destination' : 'to-source', index, header),
    });
  }

  private decideFate(direction: LinkDirection, index: number, header: FrameHeader): FrameFate {
    const { fault } = this;
    this.frames[direction] = index + 1;
    if (fault.kind !== 'frame' || this.frameWasHit || fault.direction !== direction)
      return 'deliver';
    if (fault.at !== index && fault.at !== messageName(header.type)) return 'deliver';
    this.frameWasHit = true;
    const host = direction === 'to-destination' ? this.source : this.destination;
    this.note(host, `${fault.fate} at frame ${index} ${messageName(header.type)}`);
    return fault.fate;
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

  private note(host: SimulatedHost, text: string): void {
    this.world.log.add({ kind: 'note', host, text });
  }
}
