import { randomBytes } from 'node:crypto';
import {
  assert,
  isOver,
  isPostcopy,
  type Logger,
  type MigrationCapabilities,
  type MigrationInfo,
  type MigrationParameters,
  type OwnershipLedger,
  PAGE_BYTES,
  SternaError,
} from '../base/index.ts';
import { type Address, parseAddress } from '../channel/index.ts';
import { migrationIdOf } from '../protocol/index.ts';
import type { GuestClaims } from './guest-claims.ts';
import { failedInfo, GuestSettlement } from './guest-settlement.ts';
import type { GuestSlot } from './guest-slot.ts';
import type { HalfImage } from './half-image/half-image.ts';
import { listeningInfo } from './migration/incoming-port.ts';
import { initialInfo } from './migration/initial-info.ts';
import { Listening } from './migration/listening.ts';
import type { MigrationHost, ServiceNews } from './migration/migration-host.ts';
import type { ListenRequest, OutgoingRequest } from './migration/migration-messages.ts';
import { isArriving, Passages } from './migration/passages.ts';
import type { Residence } from './migration/resident-guest.ts';
import {
  refuseMigration,
  refusePause,
  refuseRecover,
  stillArriving,
  tooLateToCancel,
} from './migration-conflicts.ts';
import { MigrationEvents } from './migration-events.ts';
import { MigrationSettings } from './migration-settings.ts';

const SECRET_BYTES = 16;

export interface MigrationsOptions {
  readonly host: MigrationHost;
  readonly guests: GuestSlot;
  readonly ledger: OwnershipLedger;
  readonly claims: GuestClaims;
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
  private readonly settlement: GuestSettlement;
  private readonly settings = new MigrationSettings();
  private info: MigrationInfo | undefined;
  private readonly passages = new Passages();
  private readonly listening: Listening;

  constructor(options: MigrationsOptions) {
    this.options = options;
    this.events = new MigrationEvents(options.emit, () => this.capabilities.events);
    this.settlement = new GuestSettlement(options);
    this.listening = new Listening(options.host, options.log);
  }

  /** The newest migration, whichever way it goes or went. */
  get latest(): MigrationInfo | undefined {
    return this.info;
  }

  get listenAddress(): Address | undefined {
    return this.listening.address;
  }

  get parameters(): MigrationParameters {
    return this.settings.parameters;
  }

  get capabilities(): MigrationCapabilities {
    return this.settings.capabilities;
  }

  /** Out of here or into here; settings that are not live cannot change meanwhile. */
  get isRunning(): boolean {
    return this.goesOut || this.comesIn;
  }

  /**
   * This agent has pages of a guest that runs elsewhere, or is about to: its end would be the
   * guest's.
   */
  get servesPages(): boolean {
    const { status } = this.info ?? {};
    return (
      this.goesOut && (isPostcopy(status) || (status === 'device' && this.settings.mayPostcopy))
    );
  }

  /** Resolves when the worker has no way out in hand any more. */
  departed(): Promise<void> {
    return this.passages.departed();
  }

  /**
   * The guest has ended itself. A migration out of here fails, unless it is too late for that.
   * Resolves when none is about this guest any more: a destination has all pages of it, and its
   * source knows what became of it.
   */
  async guestEnded(): Promise<void> {
    if (this.outgoingId !== undefined) this.options.host.guestEnded();
    await this.passages.over();
  }

  /** Throws E_CONFIG_INVALID for what does not go together. */
  setParameters(changes: Partial<MigrationParameters>): void {
    this.settings.change(changes);
    this.options.host.tell({ type: 'set-parameters', changes });
    this.tellIncoming();
  }

  /** Throws E_CONFIG_INVALID for what does not go together. */
  setCapabilities(changes: Partial<MigrationCapabilities>): void {
    this.settings.enable(changes);
  }

  /**
   * `migrate`: returns at once. Throws E_STATE when there is nothing to migrate, or one runs
   * already.
   */
  start(uri: string): void {
    const { guests, ledger, log, claims } = this.options;
    if (guests.isAway) throw state('The guest was given away', 'destination');
    if (this.goesOut) throw state("There's a migration process in progress");
    const { info } = this;
    if (info?.side === 'destination' && isPostcopy(info.status)) throw stillArriving(info);
    if (!guests.isOwned) throw state('There is no guest here to migrate');
    if (guests.runState === 'internal-error') throw state('The guest is dead');
    if (guests.runState === 'shutdown') throw state('The guest has ended');
    refuseMigration(uri, this.parameters, this.capabilities);
    const secret = randomBytes(SECRET_BYTES).toString('hex');
    const migrationId = migrationIdOf(secret);
    const { uuid } = guests.need().description;
    const epoch = ledger.read(uuid)?.epoch ?? 1;
    // Nobody listens in a file.
    if (parseAddress(uri).kind === 'tcp')
      claims.begin({ uuid, uri, migrationId, secret, epoch: epoch + 1 });
    const { mode } = this.parameters;
    log.info({ event: 'migration.start', migrationId, uri, mode });
    this.begin({ uri, migrationId, secret, epoch }, { status: 'setup', mode });
  }

  /** Goes on with a migration whose source was lost: its pages are in the machine of the slot. */
  takeUp({ head, path, bitmaps }: HalfImage): void {
    const { guests, ledger, log } = this.options;
    const { migrationId, epoch, peer, secret } = head;
    assert(secret !== undefined, 'The page spill of a source has a secret');
    const granted = ledger.read(guests.need().description.uuid)?.state === 'granted';
    log.info({ event: 'migration.taken-up', migrationId, peer, path });
    this.begin(
      { uri: peer, migrationId, secret, epoch, takeUp: { bitmaps, spill: path } },
      { status: 'postcopy-paused', mode: 'postcopy', owner: granted ? 'destination' : 'unknown' },
    );
  }

  private begin(
    request: Omit<OutgoingRequest, 'machine' | 'parameters' | 'capabilities'>,
    known: Pick<MigrationInfo, 'status' | 'mode'> & Partial<MigrationInfo>,
  ): void {
    const { guests, host } = this.options;
    const { migrationId, epoch } = request;
    const machine = guests.need();
    const totalBytes = machine.memory.pageCount * PAGE_BYTES;
    const { status, mode } = known;
    this.passages.departs(migrationId);
    const info = initialInfo({ side: 'source', status, migrationId, mode, epoch, totalBytes });
    this.publish({ ...info, ...known });
    host.startOutgoing({
      ...request,
      machine: machine.handles(),
      parameters: this.parameters,
      capabilities: this.capabilities,
    });
  }

  /**
   * Of either side. As in QEMU, cancelling when nothing runs is fine. Rejects with E_STATE when the
   * guest is being handed over, and in post-copy.
   */
  async cancel(): Promise<void> {
    if (isPostcopy(this.info?.status)) throw tooLateToCancel();
    if ((await this.options.host.cancel()) !== 'too-late') return;
    // It may have ended by itself meanwhile; then there was nothing to cancel.
    if (isOver(this.info?.status)) return;
    if (isPostcopy(this.info?.status)) throw tooLateToCancel();
    throw state('The guest is being handed over, which cannot be cancelled', 'unknown');
  }

  /** `migrate-start-postcopy`. Harmless when post-copy has begun. Rejects with E_STATE. */
  async startPostcopy(): Promise<void> {
    if (!this.settings.mayPostcopy) {
      throw state('Enable postcopy with migrate_set_capability before the start of migration');
    }
    if (!this.goesOut) {
      throw state('Postcopy must be started after migration has been started');
    }
    await this.options.host.startPostcopy();
  }

  /** `migrate-pause`: breaks the link of post-copy, from either side. Rejects with E_STATE. */
  async pauseLink(): Promise<void> {
    refusePause(this.info);
    await this.options.host.pauseLink(this.info.side);
  }

  /** `migrate` with `resume`: makes a lost link anew, by another way if there is one. */
  async resume(uri: string | undefined): Promise<void> {
    const { status } = this.info ?? {};
    if (!this.goesOut || !isPostcopy(status) || status === 'postcopy-active') {
      throw state('Cannot resume if there is no paused migration');
    }
    await this.options.host.resume(uri);
    if (uri !== undefined) this.options.claims.movedTo(uri);
  }

  /** `migrate-recover`: where the source may come again. Resolves with the real address. */
  async recover(uri: string): Promise<string> {
    refuseRecover(this.info);
    return this.listening.recover(uri);
  }

  /**
   * By an operator's word: ends a migration that is paused in post-copy, and the guest goes on
   * here. Resolves to false when there is none; then nobody asks any more who has the guest.
   */
  async takeBack(): Promise<boolean> {
    const { host, guests } = this.options;
    if (!this.goesOut) await host.endQuestion();
    if (!this.goesOut || !this.info?.status.startsWith('postcopy-')) return false;
    await host.takeBack();
    guests.comeBack();
    return true;
  }

  /** `migrate-incoming`, and the destination's beginning. Resolves with the real address. */
  async listen(uri: string): Promise<string> {
    const { guests } = this.options;
    if (!this.goesOut) await this.departed();
    if (!guests.isVacant || this.goesOut) throw state('There is a guest here already');
    if (this.listenAddress !== undefined) throw state('This agent listens for a guest already');
    const real = await this.listening.open(this.listenRequest(uri));
    if (this.info === undefined) this.publish(listeningInfo());
    return real;
  }

  /** `stop` or `cont` has changed what the next incoming guest finds. */
  guestSettled(): void {
    this.tellResident();
    this.tellIncoming();
  }

  /** What the worker tells. */
  receive(news: ServiceNews): void {
    const { guests } = this.options;
    switch (news.type) {
      case 'info':
        return this.publish(news.info);
      case 'paused':
        return guests.notePaused();
      case 'resumed':
        return guests.noteResumed(news.reason);
      case 'yield-guest':
        return void guests.yield();
      case 'guest-yielded':
        return this.guestYielded();
      case 'claim-answered':
        return this.options.claims.answered(news.migrationId);
      case 'outgoing-ended':
        // Another attempt may have begun before the worker was through with this one.
        if (news.migrationId !== this.outgoingId) return;
        return this.departureEnded();
      case 'incoming-ended':
        this.passages.arrivalEnded();
        // What was decided while it ran holds for the next one.
        if (!news.completed) this.tellResident();
    }
  }

  /** The worker is gone. Whoever owned the guest by the ledger still does. */
  async workerDied(error: SternaError): Promise<void> {
    if (this.outgoingId !== undefined) this.departureDied(error);
    else if (this.comesIn) this.fail(await this.settlement.arrivalDied(this.info, error));
    this.passages.arrivalEnded();
    await this.listening.reopen((uri) => this.listenRequest(uri));
  }

  private tellIncoming(): void {
    const { host, guests } = this.options;
    const settings = {
      startPaused: guests.startsPaused,
      stallTimeoutMs: this.parameters.stallTimeoutMs,
    };
    host.tell({ type: 'set-incoming', settings });
  }

  /** RAM of a guest that is gone is in use until the worker is through with it. */
  private tellResident(): void {
    const { host } = this.options;
    host.tell({ type: 'set-resident', resident: this.residence() });
  }

  private residence(): Residence {
    const { guests } = this.options;
    const occupied = !guests.isVacant || this.outgoingId !== undefined;
    return { occupied, uuid: guests.residentUuid };
  }

  private get outgoingId(): string | undefined {
    return this.passages.outgoingId;
  }

  private get goesOut(): boolean {
    return this.outgoingId !== undefined && !isOver(this.info?.status);
  }

  private get comesIn(): boolean {
    return this.info !== undefined && isArriving(this.info);
  }

  private listenRequest(uri: string): ListenRequest {
    const { guests, expectedUuid } = this.options;
    const { stallTimeoutMs } = this.parameters;
    const resident = this.residence();
    return { uri, expectedUuid, startPaused: guests.startsPaused, stallTimeoutMs, resident };
  }

  /** A user has the guest run where it came from, and the record of this side says so. */
  private guestYielded(): void {
    this.options.guests.leave(true);
    this.tellResident();
    const text = 'The user of the source has the guest run there';
    const side = { side: 'destination', guestOwner: 'source' } as const;
    // Else the latest is one out of here, which has ended by itself.
    if (this.info?.side === 'destination') this.fail(new SternaError('E_TAKEN_BACK', text, side));
  }

  private departureDied(cause: SternaError): void {
    if (!isOver(this.info?.status)) this.fail(this.settlement.departureDied(this.info, cause));
    this.departureEnded();
  }

  private departureEnded(): void {
    this.passages.departureEnded();
    this.settlement.afterDeparture(this.info);
    this.tellResident();
  }

  private fail(error: SternaError): void {
    if (this.info !== undefined) this.publish(failedInfo(this.info, error));
  }

  private publish(info: MigrationInfo): void {
    this.passages.note(info);
    // What is older may still be ending: the last attempt, or the proof of the guest's arrival
    // here.
    if (this.outgoingId !== undefined && info.migrationId !== this.outgoingId) return;
    this.info = info;
    if (info.side === 'source') this.settlement.departing(info);
    // The answer of a destination that was asked behind the end.
    if (info.side === 'source' && this.outgoingId === undefined) this.tellResident();
    this.events.update(info);
  }
}

const state = (message: string, guestOwner?: 'destination' | 'unknown') =>
  new SternaError('E_STATE', message, guestOwner === undefined ? {} : { guestOwner });
