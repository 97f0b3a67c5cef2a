import {
  assert,
  type OwnershipAnswer,
  OwnershipKeeper,
  type OwnershipOutcome,
  type ReachFault,
  SternaError,
  toSternaError,
  UNKNOWN_GUEST,
} from '../../base/index.ts';
import { encodeGrant } from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { DowntimeClock } from './stop-and-copy.ts';

/** The destination answers GRANT within a write to disk and a wake-up of the vCPUs. */
const RESUMED_LIMIT_MS = 10_000;

/** A second in all. */
const TAKE_BACK_TRIES = 6;
const TAKE_BACK_PAUSE_MS = 200;

/**
 * The hand-over of the guest. The order is what makes it safe (docs/protocol.md, Ownership):
 *
 *   1. this side records durably that it gives the guest away, and never runs it by itself again
 *   2. GRANT goes out
 *   3. the destination records durably that it owns the guest, and runs it
 *   4. RESUMED comes back, and this side records that the guest is gone
 *
 * A failure before 2 leaves the guest here. After it nobody knows until the destination is asked,
 * and nobody runs. `OWNERSHIP_RULES` decides; this class carries it out.
 */
export class HandOver {
  private readonly context: OutgoingContext;
  private readonly keeper: OwnershipKeeper;
  private readonly reached: ReachFault;
  private recording: Promise<OwnershipOutcome> | undefined;
  private sent: Promise<void> | undefined;

  constructor(context: OutgoingContext, reached: ReachFault = () => {}) {
    const { ledger, machine, record, peerName } = context;
    const { uuid } = machine.description;
    this.context = context;
    this.reached = reached;
    this.keeper = new OwnershipKeeper({
      ledger,
      uuid,
      peer: peerName,
      ownership: {
        ...UNKNOWN_GUEST,
        phase: 'owner',
        epoch: record.startEpoch,
        migrationId: ledger.read(uuid)?.migrationId,
        hasMemory: true,
      },
      perform: (effect) => {
        if (effect === 'send GRANT') this.sent = this.sendGrant();
      },
      recording: (when, state) => {
        if (state === 'granting') reached(`source.${when}-granting-recorded`);
        else if (state === 'owner') reached(`source.${when}-owner-recorded`);
        else if (when === 'after') reached('source.after-granted-recorded');
      },
    });
  }

  /** True from the moment at which the destination may believe that it owns the guest. */
  get isIrrevocable(): boolean {
    return ['in-doubt', 'noting-granted', 'granted', 'noting-lost', 'lost'].includes(
      this.keeper.ownership.phase,
    );
  }

  /** A failure after GRANT, unless it is the destination's own word that it has not the guest. */
  isInDoubtAfter(cause: SternaError): boolean {
    const denied = cause.detail.remote === true && cause.guestOwner === 'source';
    return this.isIrrevocable && !denied;
  }

  /**
   * Starts step 1 while the destination loads: it is safe early, since GRANT was not sent. The
   * guest must stand still already.
   */
  prepare(): void {
    this.recording = this.keeper.handle({ type: 'give', migrationId: this.context.migrationId });
  }

  /** Steps 1 to 4. Resolves when the destination has the guest. */
  async grant(downtime: DowntimeClock): Promise<void> {
    const { machine, channel, peer, interrupt } = this.context;
    const recorded = await this.recording;
    if (recorded?.refusal !== undefined) throw recorded.refusal;
    await machine.pause('ownership');
    interrupt.throwIfRaised();
    downtime.mark('record');
    if (!channel.duplex) return this.grantToFile(downtime);
    this.mayBeGranted();
    await this.sent;
    this.reached('source.after-grant-sent');
    await interrupt.until(() => peer.state !== 'granted', RESUMED_LIMIT_MS, 'RESUMED');
    await peer.resumed.promise;
    this.reached('source.after-resumed');
    downtime.mark('grant');
    await this.handedOver();
  }

  /**
   * What the destination says when it is asked after the link was lost. Resolves to whose the guest
   * is then: `source`, and it goes on here; `destination`; or `unknown`, and an operator decides.
   * Rejects with E_STATE_DIRECTORY when it could not be taken back.
   */
  async answered(answer: OwnershipAnswer): Promise<'source' | 'destination' | 'unknown'> {
    const { record, log } = this.context;
    const { ownership, refusal } = await this.keeper.handle({
      type: 'answered',
      answer,
      ...this.name,
    });
    log.info({ event: 'ownership.answered', answer, phase: ownership.phase });
    if (answer === 'abandoned') {
      if (ownership.phase !== 'owner') throw refused(refusal);
      this.goOn();
      return 'source';
    }
    if (ownership.phase !== 'granted') return 'unknown';
    record.owner = 'destination';
    record.epoch = this.nextEpoch;
    return 'destination';
  }

  /**
   * Before GRANT, or when the destination says that it does not have the guest: the guest goes on
   * here. A disk that refuses the record of that is asked again for a moment: nobody else has the
   * guest, and it stands still for the record alone.
   */
  async takeBack(): Promise<void> {
    await this.recording;
    for (let tries = 1; ; tries += 1) {
      const { ownership, refusal } = await this.takeBackOnce();
      if (ownership.phase === 'owner') return this.goOn();
      if (tries === TAKE_BACK_TRIES) throw refused(refusal);
      await this.context.clock.sleep(TAKE_BACK_PAUSE_MS);
    }
  }

  /**
   * An operator's word: the destination is gone for good. The guest goes on here, in an epoch
   * beyond the one that was granted; resolves with it. Rejects with E_STATE_DIRECTORY.
   */
  async takeOwnership(): Promise<number> {
    const { ownership, refusal } = await this.keeper.handle({ type: 'take-ownership' });
    if (ownership.phase !== 'owner') throw refused(refusal);
    this.context.record.epoch = ownership.epoch;
    this.goOn();
    return ownership.epoch;
  }

  /**
   * GRANT may have been sent and no answer came: the guest stays paused here, and the error says
   * what decides.
   */
  unknown(cause: SternaError): SternaError {
    return new SternaError('E_OWNERSHIP_UNKNOWN', 'Link was lost while the guest was handed over', {
      cause,
      guestOwner: 'unknown',
      detail: {
        peer: this.context.peerName,
        epoch: this.nextEpoch,
        cause: cause.message,
        causeCode: cause.code,
      },
    });
  }

  private async takeBackOnce(): Promise<OwnershipOutcome> {
    const { ownership } = this.keeper;
    if (ownership.phase === 'owner') {
      return { accepted: false, ownership, effects: [], refusal: undefined };
    }
    if (ownership.phase !== 'in-doubt') return this.keeper.handle({ type: 'failed' });
    return this.keeper.handle({ type: 'answered', answer: 'abandoned', ...this.name });
  }

  private goOn(): void {
    const { machine, record } = this.context;
    record.owner = 'source';
    machine.resume('ownership');
    machine.resume('migration');
  }

  /** GRANT goes out in this very turn: no cancellation comes between. */
  private mayBeGranted(): void {
    void this.keeper.handle({ type: 'send-grant' });
    assert(this.isIrrevocable, 'GRANT is sent only after `granting` was recorded');
    this.context.record.owner = 'unknown';
  }

  private async sendGrant(): Promise<void> {
    const { channel, peer, record } = this.context;
    // A file has it already: it is granted by its name.
    if (!channel.duplex) return;
    const sent = peer.send('GRANT', encodeGrant({ epoch: this.nextEpoch }));
    record.grantedBytes = this.context.sentBytes();
    await sent;
  }

  /**
   * A file is complete only under its final name, which `end()` gives it; before that nobody can
   * load it.
   */
  private async grantToFile(downtime: DowntimeClock): Promise<void> {
    const { channel, peer } = this.context;
    await peer.send('GRANT', encodeGrant({ epoch: this.nextEpoch }));
    peer.finish();
    try {
      this.reached('source.file-before-rename');
      await channel.end();
      this.reached('source.file-after-rename');
    } catch (thrown) {
      const error = toSternaError(thrown, 'E_FILE', 'File could not be completed');
      // The file may lie there, complete.
      if (error.guestOwner === 'unknown') this.mayBeGranted();
      throw error;
    }
    this.mayBeGranted();
    downtime.mark('grant');
    await this.handedOver();
  }

  private async handedOver(): Promise<void> {
    const { record, log } = this.context;
    record.owner = 'destination';
    record.epoch = this.nextEpoch;
    const { refusal } = await this.keeper.handle({ type: 'resumed', ...this.name });
    // `granting` stands on disk, which keeps the guest from running here just as well.
    if (refusal !== undefined)
      log.warn({ event: 'ownership.record-failed', error: String(refusal) });
  }

  private get nextEpoch(): number {
    return this.context.record.startEpoch + 1;
  }

  private get name(): { readonly epoch: number; readonly migrationId: string } {
    return { epoch: this.nextEpoch, migrationId: this.context.migrationId };
  }
}

function refused(refusal: unknown): SternaError {
  return toSternaError(refusal, 'E_STATE_DIRECTORY', 'Ownership could not be recorded');
}
