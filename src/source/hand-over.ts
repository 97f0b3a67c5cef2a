import { SternaError, toSternaError } from '../base/index.ts';
import { encodeGrant } from '../protocol/index.ts';
import type { OutgoingContext } from './outgoing-context.ts';
import type { DowntimeClock } from './stop-and-copy.ts';

/** The destination answers GRANT within a write to disk and a wake-up of the vCPUs. */
const RESUMED_LIMIT_MS = 10_000;

/**
 * The hand-over of the guest. The order is what makes it safe (docs/protocol.md, Ownership):
 *
 *   1. this side records durably that it gives the guest away, and never runs it by itself again
 *   2. GRANT goes out
 *   3. the destination records durably that it owns the guest, and runs it
 *   4. RESUMED comes back, and this side records that the guest is gone
 *
 * A failure before 2 leaves the guest here. After it nobody knows until the destination is asked,
 * and nobody runs.
 */
export class HandOver {
  private readonly context: OutgoingContext;
  private recording: Promise<void> | undefined;
  private grantMayBeSent = false;

  constructor(context: OutgoingContext) {
    this.context = context;
  }

  /** True from the moment at which the destination may believe that it owns the guest. */
  get isIrrevocable(): boolean {
    return this.grantMayBeSent;
  }

  /**
   * Starts step 1 while the destination loads: it is safe early, since GRANT was not sent. The
   * guest must stand still already.
   */
  prepare(): void {
    this.recording = this.write('granting', this.nextEpoch);
    // Awaited in grant(), or undone in takeBack(); until then a failure must not count as
    // unhandled.
    this.recording.catch(() => {});
  }

  /** Steps 1 to 4. Resolves when the destination has the guest. */
  async grant(downtime: DowntimeClock): Promise<void> {
    const { machine, record, channel, peer } = this.context;
    await this.recording;
    await machine.pause('ownership');
    this.context.interrupt.throwIfRaised();
    downtime.mark('record');
    if (!channel.duplex) return this.grantToFile(downtime);
    this.grantMayBeSent = true;
    record.owner = 'unknown';
    const granted = peer.send('GRANT', encodeGrant({ epoch: this.nextEpoch }));
    record.grantedBytes = channel.sentBytes;
    await granted;
    await this.context.interrupt.until(() => peer.state !== 'granted', RESUMED_LIMIT_MS, 'RESUMED');
    await peer.resumed.promise;
    downtime.mark('grant');
    await this.handedOver();
  }

  /**
   * Before GRANT, or when the destination says that it does not have the guest: the guest goes on
   * here.
   */
  async takeBack(): Promise<void> {
    const { machine, record } = this.context;
    if (this.recording !== undefined) {
      // The record may not have been written at all; then the old one still stands, and this one
      // repeats it.
      await this.recording.catch(() => {});
      await this.recordOwner();
    }
    record.owner = 'source';
    this.grantMayBeSent = false;
    machine.resume('ownership');
    machine.resume('migration');
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

  private async recordOwner(): Promise<void> {
    const { ledger, machine, record } = this.context;
    try {
      await this.write('owner', record.epoch);
    } catch (thrown) {
      // A disk that refuses this record may have refused the one before it too: then nothing has to
      // be taken back.
      const known = ledger.read(machine.description.uuid);
      if (known?.state !== 'owner' || known.epoch !== record.epoch) throw thrown;
    }
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
      await channel.end();
    } catch (thrown) {
      throw toSternaError(thrown, 'E_FILE', 'File could not be completed');
    }
    this.grantMayBeSent = true;
    downtime.mark('grant');
    await this.handedOver();
  }

  private async handedOver(): Promise<void> {
    const { record, log } = this.context;
    record.owner = 'destination';
    record.epoch = this.nextEpoch;
    try {
      await this.write('granted', this.nextEpoch);
    } catch (thrown) {
      // `granting` stands on disk, which keeps the guest from running here just as well.
      log.warn({ event: 'ownership.record-failed', error: String(thrown) });
    }
  }

  private get nextEpoch(): number {
    return this.context.record.startEpoch + 1;
  }

  private write(state: 'owner' | 'granting' | 'granted', epoch: number): Promise<void> {
    const { ledger, machine, migrationId, peerName } = this.context;
    return ledger.write({
      uuid: machine.description.uuid,
      epoch,
      state,
      migrationId,
      peer: peerName,
    });
  }
}
