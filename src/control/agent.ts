import { randomUUID } from 'node:crypto';
import {
  createLogger,
  deferred,
  type Logger,
  SternaError,
  systemWallClock,
} from '../base/index.ts';
import { isProtected, loadSecurity } from '../channel/index.ts';
import type { AgentControl } from './agent-control.ts';
import type { AgentOptions, AgentReady } from './agent-options.ts';
import { DirtyLimits } from './dirty-limit/dirty-limits.ts';
import { GuestClaims } from './guest-claims.ts';
import { continueGuest, firstRecord, settleRecords } from './guest-ownership.ts';
import { type GuestEnd, GuestSlot } from './guest-slot.ts';
import { type DumpedHalf, dumpHalf } from './half-image/dump-half.ts';
import { openFoundSpill } from './half-image/found-spill.ts';
import { type HostDevices, hostDevices } from './machine/host-devices.ts';
import { describeGuest, isBoard, type LocalMachine, preallocate } from './machine/local-machine.ts';
import { MigrationHost } from './migration/migration-host.ts';
import { Migrations } from './migrations.ts';
import { Observations } from './observation/observations.ts';
import { traceRequest } from './observation/recording-status.ts';
import { commandTable } from './qmp/commands/command-table.ts';
import { eventMessage } from './qmp/qmp-reply.ts';
import { QmpServer } from './qmp/qmp-server.ts';
import { SerialHost } from './serial/serial-host.ts';
import { ServiceHost } from './service/service-host.ts';
import { FileLedger } from './state/file-ledger.ts';
import { HandOverNotes } from './state/hand-over-note.ts';
import { defaultStateDirectory, StateDirectory } from './state/state-directory.ts';
import { type TakenGuest, takenGuest } from './taken-guest.ts';

export interface Agent {
  readonly ready: AgentReady;
  /** Resolves with the exit code when the agent has ended, for whatever reason. */
  readonly closed: Promise<number>;
  /** Ends it: cancels what can be cancelled, and the guest goes with it. */
  close(): Promise<void>;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
type ShutdownReason = 'host-qmp-quit' | 'host-signal';
/** QEMU's words. A reset ends the guest too: its kernel is not here any more. */
const SHUTDOWN_REASONS = {
  'power-off': 'guest-shutdown',
  reset: 'guest-reset',
  fail: 'guest-panic',
} as const;

/**
 * Starts a source with its guest, or a destination that listens. Rejects with a SternaError, and
 * then nothing is left.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const log = createLogger(options.logLevel, { agent: options.name });
  const path = options.stateDir ?? defaultStateDirectory(options.name, {});
  const agent = new LocalAgent(options, log, StateDirectory.open(path));
  try {
    await agent.start();
    return agent;
  } catch (thrown) {
    await agent.end(1);
    throw thrown;
  }
}

/** The main thread of an agent: control plane only. */
class LocalAgent implements Agent, AgentControl {
  readonly name: string;
  readonly guests: GuestSlot;
  readonly migrations: Migrations;
  readonly dirtyLimits: DirtyLimits;
  readonly observations: Observations;
  private readonly options: AgentOptions;
  private readonly log: Logger;
  private readonly directory: StateDirectory;
  private readonly ledger: FileLedger;
  private readonly claims: GuestClaims;
  private readonly host: MigrationHost;
  private readonly server: QmpServer;
  private readonly devices: HostDevices;
  private readonly exit = deferred<number>();
  private readonly onSignal = () => this.shutDown('host-signal');
  private service: ServiceHost | undefined;
  private serial: SerialHost | undefined;
  private report: AgentReady | undefined;
  private ending: Promise<void> | undefined;
  /** Asked to end, and held up by pages that only this agent has. */
  private isLeaving = false;

  constructor(options: AgentOptions, log: Logger, directory: StateDirectory) {
    this.name = options.name;
    this.options = options;
    this.log = log;
    this.directory = directory;
    this.ledger = new FileLedger(directory.path);
    const startPaused = options.startPaused ?? options.machine?.startPaused ?? false;
    const { preallocateBytes } = options;
    const reserve = preallocateBytes === undefined ? undefined : preallocate(preallocateBytes);
    const events = {
      emit: (event: 'STOP' | 'RESUME') => this.emit(event),
      resides: (machine: LocalMachine | undefined) => this.follow(machine),
      ended: (event: GuestEnd) => this.guestEnded(event),
    };
    this.devices = hostDevices(options);
    const { devices } = this;
    this.guests = new GuestSlot(events, log, { name: options.name, startPaused, reserve, devices });
    const settings = {
      name: options.name,
      logLevel: options.logLevel,
      stateDirectory: directory.path,
      fault: options.fault,
      security: options.security ?? {},
      drives: this.devices.shapes,
    };
    this.host = new MigrationHost(
      settings,
      {
        message: (news) => this.migrations.receive(news),
        createMachine: (description) => this.guests.receive(description),
        destroyMachine: () => this.guests.discard(),
        died: (error) => void this.workerDied(error),
      },
      log,
    );
    const notes = new HandOverNotes(directory.path);
    this.claims = new GuestClaims({ notes, host: this.host, log });
    this.migrations = new Migrations({
      host: this.host,
      guests: this.guests,
      ledger: this.ledger,
      claims: this.claims,
      log,
      expectedUuid: options.expectedUuid,
      emit: (event, data) => this.emit(event, data),
    });
    this.dirtyLimits = new DirtyLimits(this.host, this.guests, this.migrations);
    const { host, guests, migrations } = this;
    this.observations = new Observations({ host, guests, migrations, log });
    this.server = new QmpServer(this, commandTable(), log);
  }

  get ready(): AgentReady {
    if (this.report === undefined) throw new SternaError('E_STATE', 'The agent is not ready yet');
    return this.report;
  }

  get closed(): Promise<number> {
    return this.exit.promise;
  }

  async start(): Promise<void> {
    const { name, listen, role, machine, security = {} } = this.options;
    // A key that cannot be used is an error now, and not at the first migration.
    const needed = role === 'source' ? 'connect' : 'accept';
    if (isProtected(security)) loadSecurity(security, needed);
    this.host.prepare();
    await this.startService();
    this.serial = await SerialHost.open(this.devices.serial, this.log, security);
    const { resumeSpill } = this.options;
    const builds = role === 'source' && resumeSpill === undefined;
    const uuid = builds ? (machine?.uuid ?? randomUUID()) : undefined;
    await settleRecords(this.ledger, uuid, this.log);
    if (resumeSpill !== undefined) await this.goOnWith(resumeSpill);
    if (uuid !== undefined) {
      if (machine === undefined) {
        throw new SternaError('E_CONFIG_INVALID', 'A source needs a machine');
      }
      const described = describeGuest(name, uuid, machine, this.devices);
      // Before it runs: a guest that runs has an owner on record.
      const before = this.ledger.read(uuid);
      const { takeOwnership = false } = this.options;
      const epoch = await firstRecord(this.ledger, uuid, this.log, takeOwnership);
      await this.guests.build(described);
      this.claims.rebuilt(uuid, epoch, before);
    }
    const { recordTrace } = this.options;
    if (recordTrace !== undefined) {
      this.observations.recordTrace(traceRequest({ filename: recordTrace }));
    }
    const address = listen === undefined ? null : await this.migrations.listen(listen);
    const qmp: string[] = [];
    for (const wanted of this.qmpAddresses()) qmp.push(await this.server.listen(wanted));
    for (const signal of SIGNALS) process.on(signal, this.onSignal);
    const service = this.service === undefined ? {} : { service: this.service.address };
    this.report = { name, pid: process.pid, qmp, listen: address, ...service };
    this.log.info({ event: 'agent.ready', role, ...this.report, uuid: this.guests.uuid });
  }

  async stopGuest(): Promise<void> {
    await this.guests.stop();
    this.migrations.guestSettled();
  }

  dumpHalf(path: string): Promise<DumpedHalf> {
    const { guests, migrations } = this;
    return dumpHalf(path, { guests, migrations, wallClock: systemWallClock });
  }

  async continueGuest(takeOwnership: boolean): Promise<TakenGuest | undefined> {
    if (this.guests.isHalf) {
      throw new SternaError(
        'E_STATE',
        'Only missing pages of the guest are here, which cannot run',
      );
    }
    const wasAway = this.guests.isAway;
    const taken = takeOwnership && (await this.migrations.takeBack());
    if (!taken) await continueGuest(this.guests, this.ledger, this.log, takeOwnership);
    this.migrations.guestSettled();
    if (!taken && !wasAway) return undefined;
    const { uuid } = this.guests;
    const epoch = uuid === undefined ? undefined : this.ledger.read(uuid)?.epoch;
    if (epoch !== undefined) this.claims.taken(epoch);
    return takenGuest(this.migrations.latest);
  }

  quit(): void {
    this.shutDown('host-qmp-quit');
  }

  close(): Promise<void> {
    return this.end(0);
  }

  /** Idempotent. */
  end(exitCode: number): Promise<void> {
    this.ending ??= this.tearDown(exitCode);
    return this.ending;
  }

  /** Whoever serves the guest that lives here. */
  private follow(resident: LocalMachine | undefined): void {
    const isBoardHere = resident !== undefined && isBoard(resident);
    this.serial?.follow(isBoardHere ? resident : undefined);
    this.service?.follow(isBoardHere ? undefined : resident);
  }

  /**
   * The guest ended itself, and this agent with it: at once, or when no migration is about this
   * guest any more. One that was being granted meanwhile ends with its new owner.
   */
  private async guestEnded(end: GuestEnd): Promise<void> {
    this.log.info({ event: 'guest.ended', ...end });
    this.emit('SHUTDOWN', { guest: true, reason: SHUTDOWN_REASONS[end.kind] });
    await this.migrations.guestEnded();
    if (this.guests.isAway) return;
    const code = end.kind === 'fail' ? 1 : 0;
    setImmediate(() => void this.end(code));
  }

  private async startService(): Promise<void> {
    const { service, name, logLevel, security = {} } = this.options;
    if (service === undefined) return;
    this.service = await ServiceHost.start(service, { name, logLevel }, security, this.log);
  }

  /** The pages of a source that was lost, for the destination that lacks them. */
  private async goOnWith(path: string): Promise<void> {
    const image = await openFoundSpill(path, this.ledger, this.options.expectedUuid);
    try {
      const machine = await this.guests.buildHalf(image.head.machine);
      await image.load(machine.memory);
    } finally {
      await image.close();
    }
    this.migrations.takeUp(image);
  }

  private async workerDied(error: SternaError): Promise<void> {
    // Nobody is left who would let it go again.
    this.guests.current?.throttle('migration', 0);
    this.guests.current?.throttle('dirty-limit', 0);
    this.claims.workerDied();
    try {
      await this.migrations.workerDied(error);
    } catch (thrown) {
      // The ledger cannot be read: the guest stays as it is, which is paused if it was being handed
      // over.
      this.log.error({ event: 'migration-worker.not-settled', error: String(thrown) });
    }
  }

  private shutDown(reason: ShutdownReason): void {
    if (this.migrations.servesPages && !this.isLeaving) return this.shutDownWhenServed(reason);
    this.log.info({ event: 'agent.shutdown', reason });
    // After the reply to `quit`, as in QEMU.
    setImmediate(() => {
      this.emit('SHUTDOWN', { guest: false, reason });
      void this.end(0);
    });
  }

  /**
   * The guest at the destination cannot go on without the pages that are here: they are sent first,
   * also when the link has to be made anew for that. Who asks a second time means it.
   */
  private shutDownWhenServed(reason: ShutdownReason): void {
    this.isLeaving = true;
    const { postcopy } = this.migrations.latest ?? {};
    this.log.warn({
      event: 'agent.shutdown-deferred',
      reason,
      why: 'the guest at the destination needs pages of this agent; ask again to end it at once',
      remainingPages: postcopy?.remainingPages,
    });
    void this.migrations.departed().then(() => {
      if (this.ending === undefined) this.shutDown(reason);
    });
  }

  private async tearDown(exitCode: number): Promise<void> {
    for (const signal of SIGNALS) process.off(signal, this.onSignal);
    await this.host.close();
    await this.guests.close();
    await this.service?.close();
    this.serial?.close();
    this.server.close();
    this.ledger.close();
    this.directory.close();
    this.exit.resolve(exitCode);
  }

  private qmpAddresses(): readonly string[] {
    const { qmp } = this.options;
    return qmp.length > 0 ? qmp : [`unix:${this.directory.qmpSocketPath}`];
  }

  private emit(event: string, data?: unknown): void {
    this.log.debug({ event: 'qmp.event', name: event, data });
    this.server.broadcast(eventMessage(event, data, systemWallClock));
  }
}
