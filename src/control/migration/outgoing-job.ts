import {
  type Clock,
  isPostcopy,
  type Logger,
  type MigrationInfo,
  type MigrationParameters,
  type OwnershipLedger,
  PAGE_BYTES,
  POLICY_NAMES,
  type ReachFault,
  SternaError,
  systemWallClock,
  toSternaError,
} from '../../base/index.ts';
import {
  type Channel,
  formatAddress,
  parseAddress,
  type SecuritySettings,
} from '../../channel/index.ts';
import type { Machine } from '../../guestmem/index.ts';
import { guestEnded, OutgoingMigration, type Spill, TakenUpMigration } from '../../source/index.ts';
import { CodecPool } from '../codec/codec-pool.ts';
import { FileSpill, spillPath } from '../half-image/file-spill.ts';
import { UserPolicy } from '../policy/user-policy.ts';
import { connectDestination } from './connect-destination.ts';
import { initialInfo } from './initial-info.ts';
import type { CancelOutcome, OutgoingRequest, TakeUpRequest } from './migration-messages.ts';

export interface OutgoingJobOptions {
  readonly request: OutgoingRequest;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: OwnershipLedger;
  readonly reached: ReachFault;
  readonly security: SecuritySettings;
  readonly publish: (info: MigrationInfo) => void;
}

/**
 * One `migrate`: finds the way to the destination, then lets the engine run. It can be cancelled
 * from its first moment.
 */
export class OutgoingJob {
  private readonly options: OutgoingJobOptions;
  private readonly connecting = new AbortController();
  /** Why it does not even begin. */
  private obstacle: SternaError | undefined;
  private readonly startMs: number;
  private parameters: MigrationParameters;
  private engine: OutgoingMigration | TakenUpMigration | undefined;
  private postcopyWanted = false;

  constructor(options: OutgoingJobOptions) {
    this.options = options;
    this.startMs = options.clock.nowMs();
    this.parameters = { ...options.request.parameters };
  }

  /** `ready`: what must be over before. Never rejects. */
  async run(ready: Promise<unknown>): Promise<void> {
    try {
      await ready;
      const { uri, takeUp } = this.options.request;
      if (takeUp !== undefined) return await this.takeUp(takeUp);
      const channel = await this.connect(uri, this.connecting.signal);
      if (this.connecting.signal.aborted) {
        channel.destroy();
        throw cancelled();
      }
      await this.migrate(channel);
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_CHANNEL_REFUSED', 'Migration could not begin');
      this.neverBegan(this.obstacle ?? error);
    }
  }

  /** The guest runs at the destination, and this side has pages that nobody else has. */
  get servesPages(): boolean {
    return isPostcopy(this.engine?.info().status);
  }

  /** The guest does not run here any more, or nobody knows. */
  get guestLeft(): boolean {
    return this.engine !== undefined && this.engine.info().owner !== 'source';
  }

  /** The guest is whole elsewhere. */
  get isCompleted(): boolean {
    return this.engine?.info().status === 'completed';
  }

  cancel(): CancelOutcome {
    if (this.engine !== undefined) return this.engine.cancel();
    this.connecting.abort();
    return 'cancelling';
  }

  /** There is nothing left to migrate, unless it is another side's by now. */
  guestEnded(): void {
    if (this.engine instanceof OutgoingMigration) return this.engine.guestEnded();
    this.obstacle = guestEnded();
    this.connecting.abort();
  }

  /** Also before there is a connection. Throws E_STATE when the two sides have not agreed on it. */
  startPostcopy(): void {
    this.postcopyWanted = true;
    this.engine?.startPostcopy();
  }

  /** Throws E_STATE outside of post-copy. */
  pauseLink(): void {
    this.running().pauseLink();
  }

  /** Goes on with a migration that lost its link, to `uri` if there is one. Throws E_STATE. */
  resume(uri: string | undefined): void {
    const connect =
      uri === undefined ? undefined : (signal: AbortSignal) => this.connect(uri, signal);
    this.running().resume(connect);
  }

  /** Ends it while it is paused in post-copy. Resolves with the guest's new epoch. */
  async takeBack(): Promise<number> {
    const engine = this.running();
    if (engine instanceof OutgoingMigration) return engine.takeBack();
    throw new SternaError('E_STATE', 'Only missing pages of the guest are here, which cannot run');
  }

  /** After an end that left open who has the guest: asks until it is known, or `signal`. */
  async learnOwner(signal: AbortSignal): Promise<void> {
    if (this.engine instanceof OutgoingMigration) await this.engine.learnOwner(signal);
  }

  setParameters(changes: Partial<MigrationParameters>): void {
    this.parameters = { ...this.parameters, ...changes };
    this.engine?.setParameters(changes);
  }

  private connect(uri: string, signal: AbortSignal): Promise<Channel> {
    const { clock, security } = this.options;
    const timeoutMs = this.parameters.stallTimeoutMs;
    return connectDestination({ uri, clock, security, timeoutMs, signal });
  }

  private async migrate(channel: Channel): Promise<void> {
    const engine = new OutgoingMigration({
      ...this.engineOptions(),
      channel,
      codecHelpers: new CodecPool(this.options.machine.memory),
      spill: this.spill(),
      policyModule: this.policyModule(),
    });
    this.engine = engine;
    if (this.postcopyWanted) engine.startPostcopy();
    await engine.run();
  }

  private async takeUp({ bitmaps, spill: path }: TakeUpRequest): Promise<void> {
    const { machine, request } = this.options;
    for (const [index, bitmap] of bitmaps.entries()) machine.memory.blocks[index]?.setDirty(bitmap);
    const spill = new FileSpill(path, systemWallClock);
    const { epoch } = request;
    const engine = new TakenUpMigration({ ...this.engineOptions(), epoch, spill });
    this.engine = engine;
    await engine.run();
  }

  /** What an engine needs, whichever it is. */
  private engineOptions() {
    const { machine, clock, log, ledger, reached, publish, request } = this.options;
    const { migrationId, secret, capabilities, uri } = request;
    return {
      ...{ machine, clock, log, ledger, reached, migrationId, secret, capabilities },
      connect: (signal: AbortSignal) => this.connect(uri, signal),
      peer: formatAddress(parseAddress(uri)),
      parameters: this.parameters,
      observer: { info: publish },
    };
  }

  private spill(): Spill | undefined {
    const { machine, request } = this.options;
    const { postcopySpill } = this.parameters;
    if (postcopySpill === '') return undefined;
    const { uuid } = machine.description;
    return new FileSpill(spillPath(postcopySpill, uuid, request.migrationId), systemWallClock);
  }

  /** The user's own policy, where the parameter is the path of one. */
  private policyModule(): UserPolicy | undefined {
    const { policy } = this.parameters;
    return POLICY_NAMES.includes(policy) ? undefined : new UserPolicy(policy);
  }

  private running(): OutgoingMigration | TakenUpMigration {
    if (this.engine !== undefined) return this.engine;
    throw new SternaError('E_STATE', 'The migration has not begun yet');
  }

  private neverBegan(error: SternaError): void {
    const { request, machine, clock, log, publish } = this.options;
    error.phase ??= 'setup';
    error.side ??= 'source';
    error.guestOwner ??= 'source';
    log.warn({ event: 'migration.never-began', code: error.code, error: error.message });
    publish(
      initialInfo({
        side: 'source',
        status: error.code === 'E_CANCELLED' ? 'cancelled' : 'failed',
        migrationId: request.migrationId,
        mode: this.parameters.mode,
        epoch: request.epoch,
        totalBytes: machine.memory.pageCount * PAGE_BYTES,
        totalTimeMs: clock.nowMs() - this.startMs,
        error,
      }),
    );
  }
}

function cancelled(): SternaError {
  return new SternaError('E_CANCELLED', 'Migration was cancelled before it began');
}
