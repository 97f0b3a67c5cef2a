import { randomUUID } from 'node:crypto';
import {
  assert,
  defaultCapabilities,
  defaultParameters,
  errorReport,
  type Logger,
  type MigrationCapabilities,
  type MigrationInfo,
  type MigrationParameters,
  type OwnershipLedger,
  PAGE_BYTES,
  SternaError,
} from '../base/index.ts';
import { type Address, parseAddress } from '../channel/index.ts';
import type { GuestSlot } from './guest-slot.ts';
import type { HalfImage } from './half-image/half-image.ts';
import { listeningInfo } from './migration/incoming-port.ts';
import { initialInfo } from './migration/initial-info.ts';
import type { MigrationHost, ServiceNews } from './migration/migration-host.ts';
import { MigrationEvents } from './migration-events.ts';

export interface MigrationsOptions {
  readonly host: MigrationHost;
  readonly guests: GuestSlot;
  readonly ledger: OwnershipLedger;
  readonly log: Logger;
  readonly expectedUuid: string | undefined;
  readonly emit: (event: string, data: unknown) => void;
}

/**
 * The migrations of one agent, as its clients see them: settings, start, cancel, and what is known
 * of the latest one.
 */
export class Migrations {
  private readonly options: MigrationsOptions;
  private readonly events: MigrationEvents;
  private values: MigrationParameters = defaultParameters();
  private switches: MigrationCapabilities = defaultCapabilities();
  private info: MigrationInfo | undefined;
  /**
   * The way out that the worker has in hand; also after its end until the worker is through with
   * it.
   */
  private outgoingId: string | undefined;
  /** Where this agent listens, and how it was asked to. */
  private listening: { readonly address: Address; readonly uri: string } | undefined;

  constructor(options: MigrationsOptions) {
    this.options = options;
    this.events = new MigrationEvents(options.emit, () => this.switches.events);
  }

  /** The newest migration, whichever way it goes or went. */
  get latest(): MigrationInfo | undefined {
    return this.info;
  }

  get listenAddress(): Address | undefined {
    return this.listening?.address;
  }

  get parameters(): MigrationParameters {
    return this.values;
  }

  get capabilities(): MigrationCapabilities {
    return this.switches;
  }

  /** Out of here or into here; settings that are not live cannot change meanwhile. */
  get isRunning(): boolean {
    return this.goesOut || this.comesIn;
  }

  setParameters(changes: Partial<MigrationParameters>): void {
    this.values = { ...this.values, ...changes };
    this.options.host.tell({ type: 'set-parameters', changes });
    this.tellIncoming();
  }

  setCapabilities(changes: Partial<MigrationCapabilities>): void {
    this.switches = { ...this.switches, ...changes };
  }

  /**
   * `migrate`: returns at once. Throws E_STATE when there is nothing to migrate, or one runs
   * already.
   */
  start(uri: string): void {
    const { guests, host, ledger, log } = this.options;
    if (guests.isAway) throw state('The guest was given away', 'destination');
    if (this.goesOut) throw state("There's a migration process in progress");
    if (!guests.isOwned) throw state('There is no guest here to migrate');
    if (guests.runState === 'internal-error') throw state('The guest is dead');
    const machine = guests.need();
    const migrationId = randomUUID();
    const epoch = ledger.read(machine.description.uuid)?.epoch ?? 1;
    this.outgoingId = migrationId;
    log.info({ event: 'migration.start', migrationId, uri, mode: this.values.mode });
    this.publish(
      initialInfo({
        side: 'source',
        status: 'setup',
        migrationId,
        mode: this.values.mode,
        epoch,
        totalBytes: machine.memory.pageCount * PAGE_BYTES,
      }),
    );
    host.startOutgoing({
      uri,
      migrationId,
      epoch,
      machine: machine.handles(),
      parameters: this.values,
      capabilities: this.switches,
    });
  }

  /** Goes on with a migration whose source was lost: its pages are in the machine of the slot. */
  takeUp({ head, path, bitmaps }: HalfImage): void {
    const { guests, host, ledger, log } = this.options;
    const { migrationId, epoch, peer, secret } = head;
    assert(secret !== undefined, 'The page spill of a source has a secret');
    const machine = guests.need();
    const granted = ledger.read(machine.description.uuid)?.state === 'granted';
    this.outgoingId = migrationId;
    log.info({ event: 'migration.taken-up', migrationId, peer, path });
    const info = initialInfo({
      side: 'source',
      status: 'postcopy-paused',
      migrationId,
      mode: 'postcopy',
      epoch,
      totalBytes: machine.memory.pageCount * PAGE_BYTES,
    });
    this.publish({ ...info, owner: granted ? 'destination' : 'unknown' });
    host.startOutgoing({
      uri: peer,
      migrationId,
      epoch,
      machine: machine.handles(),
      parameters: this.values,
      capabilities: this.switches,
      takeUp: { secret, bitmaps, spill: path },
    });
  }

  /**
   * As in QEMU, cancelling when nothing runs is fine. Rejects with E_STATE when the guest is being
   * handed over.
   */
  async cancel(): Promise<void> {
    if (!this.goesOut) return;
    if ((await this.options.host.cancel()) !== 'too-late') return;
    // It may have ended by itself meanwhile; then there was nothing to cancel.
    if (isOver(this.info)) return;
    throw state('The guest is being handed over, which cannot be cancelled', 'unknown');
  }

  /** `migrate-incoming`, and the destination's beginning. Resolves with the real address. */
  async listen(uri: string): Promise<string> {
    const { host, guests, expectedUuid } = this.options;
    if (!guests.isVacant || this.outgoingId !== undefined)
      throw state('There is a guest here already');
    if (this.listening !== undefined) throw state('This agent listens for a guest already');
    const real = await host.listen({
      uri,
      expectedUuid,
      startPaused: guests.startsPaused,
      stallTimeoutMs: this.values.stallTimeoutMs,
    });
    const address = parseAddress(real);
    // A file comes once; only a port stays open.
    if (address.kind === 'tcp') this.listening = { address, uri: real };
    if (this.info === undefined) this.publish(listeningInfo());
    return real;
  }

  /** `stop` or `cont` has changed what the next incoming guest finds. */
  guestSettled(): void {
    const { host, guests } = this.options;
    host.tell({ type: 'set-occupied', occupied: !guests.isVacant });
    this.tellIncoming();
  }

  /** What the worker tells. */
  receive(news: ServiceNews): void {
    const { guests, host } = this.options;
    switch (news.type) {
      case 'info':
        return this.publish(news.info);
      case 'paused':
        return guests.notePaused(news.reason);
      case 'resumed':
        return guests.noteResumed(news.reason);
      case 'outgoing-ended':
        // Another attempt may have begun before the worker was through with this one.
        if (news.migrationId !== this.outgoingId) return;
        this.outgoingId = undefined;
        return this.settleGuest();
      case 'incoming-ended':
        // What was decided while it ran holds for the next one.
        if (!news.completed) host.tell({ type: 'set-occupied', occupied: !guests.isVacant });
    }
  }

  /** The worker is gone. Whoever owned the guest by the ledger still does. */
  async workerDied(error: SternaError): Promise<void> {
    const { guests, log } = this.options;
    if (this.outgoingId !== undefined) this.outgoingFailed(error);
    else if (this.comesIn) await this.incomingFailed(error);
    if (this.listening === undefined) return;
    const { uri } = this.listening;
    this.listening = undefined;
    try {
      await this.listenAgain(uri);
      this.options.host.tell({ type: 'set-occupied', occupied: !guests.isVacant });
    } catch (thrown) {
      log.error({ event: 'migration.listen-failed', uri, error: String(thrown) });
    }
  }

  private tellIncoming(): void {
    const { host, guests } = this.options;
    const settings = {
      startPaused: guests.startsPaused,
      stallTimeoutMs: this.values.stallTimeoutMs,
    };
    host.tell({ type: 'set-incoming', settings });
  }

  private get goesOut(): boolean {
    return this.outgoingId !== undefined && !isOver(this.info);
  }

  private get comesIn(): boolean {
    const { info } = this;
    return info?.side === 'destination' && (info.status === 'active' || info.status === 'device');
  }

  private async listenAgain(uri: string): Promise<void> {
    const { host, guests, expectedUuid } = this.options;
    const { stallTimeoutMs } = this.values;
    const real = await host.listen({
      uri,
      expectedUuid,
      startPaused: guests.startsPaused,
      stallTimeoutMs,
    });
    this.listening = { address: parseAddress(real), uri: real };
  }

  private outgoingFailed(cause: SternaError): void {
    const { guests, ledger } = this.options;
    this.outgoingId = undefined;
    if (isOver(this.info)) return this.settleGuest();
    const record = ledger.read(guests.need().description.uuid);
    const granted = record?.state === 'granting' || record?.state === 'granted';
    const error = granted
      ? new SternaError(
          'E_OWNERSHIP_UNKNOWN',
          'Migration worker died while the guest was handed over',
          {
            cause,
            guestOwner: 'unknown',
            detail: { peer: record.peer, epoch: record.epoch },
          },
        )
      : cause;
    error.side = 'source';
    error.guestOwner ??= 'source';
    this.publishFailure(error);
    this.settleGuest();
  }

  private async incomingFailed(error: SternaError): Promise<void> {
    const { guests, ledger } = this.options;
    const uuid = guests.uuid;
    const record = uuid === undefined ? undefined : ledger.read(uuid);
    error.side = 'destination';
    if (guests.isArriving && record?.state === 'owner') {
      // It was granted, and recorded: the source will not run it any more, so this side has to.
      guests.need().resume('ownership');
      guests.noteResumed('ownership');
      error.guestOwner = 'destination';
    } else {
      await guests.discard();
      error.guestOwner = 'source';
    }
    this.publishFailure(error);
  }

  private publishFailure(error: SternaError): void {
    if (this.info === undefined) return;
    const owner = error.guestOwner ?? this.info.owner;
    this.publish({ ...this.info, status: 'failed', owner, error: errorReport(error) });
  }

  /** After a migration: is the guest still ours? The engine has decided, and the ledger has it. */
  private settleGuest(): void {
    const { guests, host } = this.options;
    if (this.isGivenAway()) {
      const certain = this.info?.status === 'completed';
      guests.leave(certain);
    } else if (guests.runState === 'finish-migrate') {
      // The engine could not let it go on: its worker died, or the disk is full. By the record it
      // is still ours.
      guests.need().resume('ownership');
      guests.noteResumed('ownership');
      guests.need().resume('migration');
      guests.noteResumed('migration');
    }
    host.tell({ type: 'set-occupied', occupied: !guests.isVacant });
  }

  private isGivenAway(): boolean {
    const { guests, ledger, log } = this.options;
    const { uuid } = guests;
    try {
      const state = uuid === undefined ? undefined : ledger.read(uuid)?.state;
      return state === 'granted' || state === 'granting' || state === 'lost';
    } catch (thrown) {
      // The disk is gone. The engine knows whether it has sent GRANT, and nobody else could have.
      log.error({ event: 'ownership.read-failed', error: String(thrown) });
      return this.info?.side === 'source' && this.info.owner !== 'source';
    }
  }

  private publish(info: MigrationInfo): void {
    // What is older may still be ending: the last attempt, or the proof of the guest's arrival
    // here.
    if (this.outgoingId !== undefined && info.migrationId !== this.outgoingId) return;
    this.info = info;
    if (info.side === 'source') this.noteDeparture(info);
    this.events.update(info);
  }

  /**
   * At once, not when the worker is through: the proof may still run, and `cont` must give the
   * right answer.
   */
  private noteDeparture(info: MigrationInfo): void {
    const { guests } = this.options;
    if (info.status === 'completed') guests.leave(true);
    else if (info.error?.code === 'E_OWNERSHIP_UNKNOWN') guests.leave(false);
  }
}

function isOver(info: MigrationInfo | undefined): boolean {
  return info?.status === 'completed' || info?.status === 'failed' || info?.status === 'cancelled';
}

function state(message: string, guestOwner?: 'destination' | 'unknown'): SternaError {
  return new SternaError('E_STATE', message, guestOwner === undefined ? {} : { guestOwner });
}
