import { type Logger, SternaError, systemWallClock } from '../../base/index.ts';
import type { RecordedTrace } from '../../guestmem/index.ts';
import type { GuestSlot } from '../guest-slot.ts';
import type { MigrationHost } from '../migration/migration-host.ts';
import type { Migrations } from '../migrations.ts';
import type { DirtyRate, DirtyRateRequest } from './dirty-rate.ts';
import { DirtyRateStatus } from './dirty-rate-status.ts';
import type { Observation, ObservationRequest } from './observer.ts';
import {
  type LinkReply,
  linkReply,
  type ProbeLinkArguments,
  probeDurationMs,
} from './probed-link.ts';
import { RecordingStatus } from './recording-status.ts';
import type { TraceRequest } from './trace-file.ts';

export interface ObservationsOptions {
  readonly host: MigrationHost;
  readonly guests: GuestSlot;
  readonly migrations: Migrations;
  readonly log: Logger;
}

/**
 * The main thread's half: what clients ask about the guest's dirty pages, and what was found. A
 * migration that begins ends an observation; none begins while a migration runs.
 */
export class Observations {
  readonly dirtyRate = new DirtyRateStatus();
  readonly recording = new RecordingStatus();
  private readonly options: ObservationsOptions;

  constructor(options: ObservationsOptions) {
    this.options = options;
  }

  /** `calc-dirty-rate`: returns at once. Throws E_STATE. */
  measureDirtyRate(request: DirtyRateRequest): void {
    this.refuseWhileMoving();
    if (this.recording.isRecording) {
      throw new SternaError('E_STATE', 'A trace of the guest is being recorded');
    }
    this.dirtyRate.begin(request, Math.floor(systemWallClock() / 1e6));
    void this.observe(request).then(
      (measured) => this.dirtyRate.end(measured as DirtyRate),
      (thrown: unknown) => {
        this.options.log.warn({ event: 'dirty-rate.failed', error: String(thrown) });
        this.dirtyRate.fail(thrown);
      },
    );
  }

  /** `x-record-trace-start`: returns at once. Throws E_STATE. */
  recordTrace(request: TraceRequest): void {
    const { log } = this.options;
    this.refuseWhileMoving();
    if (this.dirtyRate.isMeasuring) {
      throw new SternaError('E_STATE', "the dirty rate's measurement is already in progress");
    }
    this.recording.begin(request, async () => {
      log.info({ event: 'trace.begun', path: request.path, intervalMs: request.intervalMs });
      return (await this.observe(request)) as RecordedTrace;
    });
    void this.recording.settled.then(() => {
      log.info({ event: 'trace.ended', ...this.recording.reply() });
    });
  }

  /** `x-record-trace-stop`: resolves when the file is whole. Rejects with E_STATE. */
  async stopRecording(): Promise<Readonly<Record<string, unknown>>> {
    if (!this.recording.isRecording) throw new SternaError('E_STATE', 'Nothing is recorded');
    await this.options.host.endObservation();
    await this.recording.settled;
    return this.recording.reply();
  }

  /**
   * `x-probe-link`: resolves with what a migration to `uri` would find on the way. Rejects with
   * E_CONFIG_INVALID, E_STATE, E_BUSY or what is wrong with the link.
   */
  async probeLink({ uri, seconds }: ProbeLinkArguments): Promise<LinkReply> {
    const { host, migrations } = this.options;
    const durationMs = probeDurationMs(seconds);
    if (migrations.isRunning) throw migrating();
    const { stallTimeoutMs } = migrations.parameters;
    return linkReply(await host.measureLink({ uri, durationMs, stallTimeoutMs }));
  }

  private observe(request: ObservationRequest): Promise<Observation> {
    const { host, guests } = this.options;
    return host.observe(request, guests.need().handles());
  }

  /** The logs that are flipped are those of a migration. */
  private refuseWhileMoving(): void {
    const { guests, migrations } = this.options;
    if (migrations.isRunning) throw migrating();
    if (!guests.isOwned) throw new SternaError('E_STATE', 'There is no guest here to observe');
  }
}

function migrating(): SternaError {
  return new SternaError('E_STATE', "There's a migration process in progress");
}
