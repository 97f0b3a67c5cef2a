import {
  type Clock,
  isPostcopy,
  type Logger,
  type MigrationInfo,
  type OwnershipLedger,
  type ReachFault,
  SternaError,
} from '../../base/index.ts';
import {
  type Channel,
  formatAddress,
  loadSecurity,
  openFileChannel,
  parseAddress,
  requireProtected,
  type SecuritySettings,
  type TcpAddress,
  TcpListener,
} from '../../channel/index.ts';
import {
  IncomingMigration,
  type Joining,
  type Probing,
  type RunningProbe,
} from '../../destination/index.ts';
import type { MachineDescription, MachineFactory, MachineRefusal } from '../../guestmem/index.ts';
import { unsupported } from './connect-destination.ts';
import { initialInfo } from './initial-info.ts';
import type { CancelOutcome, IncomingSettings, ListenRequest } from './migration-messages.ts';
import { type Residence, ResidentGuest, type ResidentGuestListener } from './resident-guest.ts';

/** A connection without HELLO is dropped after ten seconds, and costs a few KiB until then. */
const CONNECTION_COUNT_MAX = 32;
/** So that one host alone cannot keep all others out where peers have no keys. */
const CONNECTION_COUNT_PER_HOST_MAX = 24;

const BUSY = 'Destination is busy with another guest';

export interface IncomingPortOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: OwnershipLedger;
  readonly reached: ReachFault;
  readonly security: SecuritySettings;
  readonly factory: MachineFactory;
  readonly publish: (info: MigrationInfo) => void;
  readonly resident: ResidentGuestListener;
  readonly ended: (completed: boolean) => void;
}

interface ActiveMigration {
  readonly channel: Channel;
  engine: IncomingMigration | undefined;
  settled: Promise<void>;
  failed: boolean;
}

/**
 * Where guests come in, one at a time. While one comes, or when the agent has one, others are told
 * E_BUSY. After a migration that failed the next one can come.
 */
export class IncomingPort {
  private readonly options: IncomingPortOptions;
  private listener: TcpListener | undefined;
  private settings: IncomingSettings = { startPaused: false, stallTimeoutMs: 10_000 };
  private expectedUuid: string | undefined;
  private readonly resident: ResidentGuest;
  private active: ActiveMigration | undefined;
  /** A source measures its link to here, or did so. */
  private probe: RunningProbe | undefined;

  constructor(options: IncomingPortOptions) {
    this.options = options;
    this.resident = new ResidentGuest(options.resident);
  }

  /** Resolves when the incoming migration that runs now, if any, is over and proven. */
  get settled(): Promise<void> {
    return this.active?.settled ?? Promise.resolve();
  }

  /**
   * Resolves with the real address. A file is read at once. Rejects with E_CONFIG_INVALID or
   * E_FILE.
   */
  async listen(request: ListenRequest): Promise<string> {
    const address = parseAddress(request.uri);
    if (address.kind === 'unix') throw unsupported(request.uri);
    this.settings = request;
    // Before anybody can ask for the guest.
    this.setResident(request.resident);
    this.expectedUuid = request.expectedUuid;
    if (address.kind === 'file') {
      if (this.isBusy) throw busy();
      this.accept(await openFileChannel(address.path, this.options.clock));
      return formatAddress(address);
    }
    return this.open(address);
  }

  /**
   * The source of a migration in post-copy may come again at `uri`, and nowhere else. Resolves with
   * the real address. Rejects with E_STATE or E_CONFIG_INVALID.
   */
  async recover(uri: string): Promise<string> {
    if (!this.isInPostcopy) throw new SternaError('E_STATE', 'There is no migration in post-copy');
    const address = parseAddress(uri);
    if (address.kind !== 'tcp') throw unsupported(uri);
    const { listener } = this;
    if (listener !== undefined && formatAddress(listener.address) === formatAddress(address)) {
      return formatAddress(address);
    }
    return this.open(address);
  }

  configure(settings: IncomingSettings): void {
    this.settings = settings;
  }

  setResident(residence: Residence): void {
    this.resident.set(residence);
  }

  /** A migration out of here is over; `hasLeft`: and the guest is another side's. */
  departed(hasLeft: boolean): void {
    this.resident.departed(hasLeft);
  }

  /** Ends an arrival that was not granted yet; the place is free when the source was told. */
  cancel(): CancelOutcome {
    return this.active?.engine?.cancel() ?? 'nothing-runs';
  }

  /** Ends what is under way. A guest that has been granted stays. */
  async close(): Promise<void> {
    this.listener?.close();
    this.probe?.refuse(new SternaError('E_CANCELLED', 'Destination is shutting down'));
    const { active } = this;
    if (active === undefined) return;
    // Its end would be the arrival of the last page, and the guest goes with its process anyway.
    if (this.isInPostcopy) return active.engine?.pauseLink();
    active.channel.destroy(new SternaError('E_CANCELLED', 'Destination is shutting down'));
    await active.settled;
  }

  private async open(address: TcpAddress): Promise<string> {
    const { clock, log, security: settings } = this.options;
    // Here, because QMP can ask for an address too.
    requireProtected(address, settings, 'listen');
    const listener = await TcpListener.listen(address, {
      clock,
      log,
      security: loadSecurity(settings, 'accept'),
      connectionCountMax: CONNECTION_COUNT_MAX,
      connectionCountPerHostMax: CONNECTION_COUNT_PER_HOST_MAX,
      onConnection: (channel) => this.accept(channel),
    });
    this.listener?.close();
    this.listener = listener;
    return formatAddress(listener.address);
  }

  private get isInPostcopy(): boolean {
    return isPostcopy(this.active?.engine?.info().status);
  }

  private get isBusy(): boolean {
    return this.resident.isOccupied || (this.active !== undefined && !this.active.failed);
  }

  /**
   * Every connection gets an engine, which waits for HELLO; the first HELLO that is accepted takes
   * the place. So a stranger that connects and says nothing keeps nobody out.
   */
  private accept(channel: Channel): void {
    const migration: ActiveMigration = {
      channel,
      engine: undefined,
      settled: Promise.resolve(),
      failed: false,
    };
    migration.settled = this.run(migration).finally(() => {
      if (this.active === migration) this.active = undefined;
    });
  }

  private async run(migration: ActiveMigration): Promise<void> {
    const { clock, log, ledger, reached, factory, ended } = this.options;
    const { channel } = migration;
    // Who is told that the guest has gone may send one before its place here is free.
    await this.resident.settled(clock);
    const { startPaused, stallTimeoutMs } = this.settings;
    log.info({ event: 'migration.incoming', peer: channel.name });
    const engine = new IncomingMigration({
      channel,
      clock,
      ledger,
      reached,
      log,
      factory: { ...bound(factory), refusal: (description) => this.claim(migration, description) },
      expectedUuid: this.expectedUuid,
      startPaused,
      stallTimeoutMs,
      joining: this.joining(),
      probing: this.probing(),
      observer: { info: (info) => this.note(migration, info) },
    });
    migration.engine = engine;
    const outcome = await engine.run();
    if (this.active !== migration) return;
    const completed = outcome.status === 'completed';
    // Before anything else can be accepted.
    if (completed) this.resident.came(outcome.machine);
    ended(completed);
    if (completed && outcome.hasYielded) this.resident.yielded(outcome.machine.description.uuid);
  }

  /** Breaks the connection of a migration in post-copy. Throws E_STATE. */
  pauseLink(): void {
    const engine = this.active?.engine;
    if (engine === undefined) throw new SternaError('E_STATE', 'There is no migration here');
    engine.pauseLink();
  }

  /** Where further connections of a migration find it. */
  private joining(): Joining {
    const { resident } = this;
    return {
      find: (migrationId) => {
        const { engine, failed = true } = this.active ?? {};
        return !failed && engine?.info().migrationId === migrationId ? engine : undefined;
      },
      isHere: (uuid) => resident.isHere(uuid),
      mayYield: (uuid) => resident.mayYield(uuid),
      pause: (uuid) => resident.pause(uuid),
      yielded: (uuid) => resident.yielded(uuid),
    };
  }

  /** A guest goes first: one that is here, comes, or will come meanwhile. */
  private probing(): Probing {
    return {
      admit: (probe) => {
        if (this.isBusy) return new SternaError('E_BUSY', BUSY);
        if (this.probe?.isMeasuring) {
          return new SternaError('E_BUSY', 'Destination has its link measured by another source');
        }
        this.probe = probe;
        return undefined;
      },
    };
  }

  /** Asked once, when HELLO was checked. Nothing waits between the question and the claim. */
  private claim(
    migration: ActiveMigration,
    description: MachineDescription,
  ): MachineRefusal | undefined {
    if (this.isBusy) {
      const { name } = migration.channel;
      this.options.log.warn({ event: 'migration.refused', peer: name, code: 'E_BUSY' });
      return { code: 'E_BUSY', message: BUSY };
    }
    const refused = this.options.factory.refusal(description);
    if (refused !== undefined) return refused;
    this.probe?.refuse(new SternaError('E_BUSY', 'A guest came while the link was measured'));
    this.active = migration;
    return undefined;
  }

  private note(migration: ActiveMigration, info: MigrationInfo): void {
    const over = info.status === 'failed' || info.status === 'cancelled';
    if (over) migration.failed = true;
    // One that was refused, or is only saying farewell while the next one comes, is not what
    // clients ask about.
    const current =
      this.active === migration || (this.active === undefined && !this.resident.isOccupied && over);
    if (current) this.options.publish(info);
  }
}

/** The methods of a factory that may be an object of a class. */
function bound(factory: MachineFactory): Omit<MachineFactory, 'refusal'> {
  return {
    create: (description) => factory.create(description),
    destroy: (machine) => factory.destroy(machine),
  };
}

function busy(): SternaError {
  return new SternaError('E_BUSY', BUSY, {
    side: 'destination',
    guestOwner: 'source',
    phase: 'setup',
  });
}

/** What a destination shows before the first source has come. */
export function listeningInfo(): MigrationInfo {
  return initialInfo({
    side: 'destination',
    status: 'setup',
    migrationId: '',
    mode: 'precopy',
    epoch: 0,
    totalBytes: 0,
  });
}
