import { Worker } from 'node:worker_threads';
import {
  type Logger,
  type MigrationInfo,
  SternaError,
  systemClock,
  type VcpuDirtyLimit,
  workerUrl,
} from '../../base/index.ts';
import type { MachineDescription } from '../../guestmem/index.ts';
import type { LinkMeasurement } from '../../source/index.ts';
import type { MachineHandles } from '../machine/local-machine.ts';
import type { Observation, ObservationRequest } from '../observation/observer.ts';
import type {
  CancelOutcome,
  ClaimRequest,
  DirtyLimitRequest,
  HostMessage,
  ListenRequest,
  OutgoingRequest,
  ProbeRequest,
  ServiceMessage,
  WorkerSettings,
} from './migration-messages.ts';
import { answerOf, PendingAnswers } from './pending-answers.ts';

/** What the worker tells and asks, beside its answers. */
export interface HostEvents {
  message(message: ServiceNews): void;
  createMachine(description: MachineDescription): Promise<MachineHandles>;
  destroyMachine(): Promise<void>;
  /** It is gone, and nobody asked for that. */
  died(error: SternaError): void;
}

/** The worker's messages that ask for nothing. */
export type ServiceNews = Extract<
  ServiceMessage,
  {
    type:
      | 'info'
      | 'outgoing-ended'
      | 'incoming-ended'
      | 'claim-answered'
      | 'yield-guest'
      | 'guest-yielded'
      | 'paused'
      | 'resumed';
  }
>;

/** The service bounds its own end by less. */
const SHUTDOWN_LIMIT_MS = 7_000;

/** The main thread's half: one migration worker at a time, and a new one when it died. */
export class MigrationHost {
  private readonly settings: WorkerSettings;
  private readonly events: HostEvents;
  private readonly log: Logger;
  private readonly answers = new PendingAnswers();
  private worker: Worker | undefined;
  private closing = false;

  constructor(settings: WorkerSettings, events: HostEvents, log: Logger) {
    this.settings = settings;
    this.events = events;
    this.log = log;
  }

  /** Starts the worker ahead of the first use, so that a migration does not wait for it. */
  prepare(): void {
    this.running();
  }

  /** Resolves with the real address. */
  async listen(request: ListenRequest): Promise<string> {
    // That is what the service answers.
    return (await this.ask((id) => ({ type: 'listen', id, request }))) as string;
  }

  startOutgoing(request: OutgoingRequest): void {
    this.running().postMessage({ type: 'outgoing', request } satisfies HostMessage);
  }

  async cancel(): Promise<CancelOutcome> {
    return (await this.ask((id) => ({ type: 'cancel', id }))) as CancelOutcome;
  }

  /** Fails a migration out of here, unless its guest is another side's by now. */
  guestEnded(): void {
    this.worker?.postMessage({ type: 'guest-ended' } satisfies HostMessage);
  }

  /** Rejects with E_STATE when there is nothing to switch. */
  async startPostcopy(): Promise<void> {
    await this.ask((id) => ({ type: 'start-postcopy', id }));
  }

  /** Rejects with E_STATE outside of post-copy. */
  async pauseLink(side: MigrationInfo['side']): Promise<void> {
    await this.ask((id) => ({ type: 'pause-link', id, side }));
  }

  /** Goes on with a migration that lost its link. Rejects with E_STATE. */
  async resume(uri: string | undefined): Promise<void> {
    await this.ask((id) => ({ type: 'resume', id, uri }));
  }

  /** Resolves with the real address at which the source may come again. */
  async recover(uri: string): Promise<string> {
    // That is what the service answers.
    return (await this.ask((id) => ({ type: 'recover', id, uri }))) as string;
  }

  /** Ends a migration that is paused in post-copy. Resolves with the guest's new epoch. */
  async takeBack(): Promise<number> {
    return (await this.ask((id) => ({ type: 'take-back', id }))) as number;
  }

  /** Resolves when nobody asks any more who has the guest of the last migration. */
  async endQuestion(): Promise<void> {
    if (this.worker !== undefined) await this.ask((id) => ({ type: 'end-question', id }));
  }

  /** Tells a destination that its guest was taken back, as long as the worker lives. */
  claim(request: ClaimRequest): void {
    this.running().postMessage({ type: 'claim', request } satisfies HostMessage);
  }

  /** Outside of a migration. */
  async setDirtyLimit(request: DirtyLimitRequest): Promise<void> {
    await this.ask((id) => ({ type: 'dirty-limit', id, request }));
  }

  async cancelDirtyLimit(vcpu: number | undefined): Promise<void> {
    await this.ask((id) => ({ type: 'cancel-dirty-limit', id, vcpu }));
  }

  async queryDirtyLimit(): Promise<readonly VcpuDirtyLimit[]> {
    // That is what the service answers.
    return (await this.ask((id) => ({ type: 'query-dirty-limit', id }))) as VcpuDirtyLimit[];
  }

  /** Resolves at its end with what was observed. Rejects with E_STATE or E_WORKER_DIED. */
  async observe(request: ObservationRequest, machine: MachineHandles): Promise<Observation> {
    // That is what the service answers.
    return (await this.ask((id) => ({ type: 'observe', id, request, machine }))) as Observation;
  }

  /** Resolves when nothing observes the guest any more. */
  async endObservation(): Promise<void> {
    await this.ask((id) => ({ type: 'end-observation', id }));
  }

  /** Rejects with E_STATE, or with what the link or the destination has against it. */
  async measureLink(request: ProbeRequest): Promise<LinkMeasurement> {
    // That is what the service answers.
    return (await this.ask((id) => ({ type: 'probe-link', id, request }))) as LinkMeasurement;
  }

  /** For messages that need no answer; nothing to tell when there is no worker. */
  tell(message: Extract<HostMessage, { type: `set-${string}` }>): void {
    this.worker?.postMessage(message);
  }

  /** Ends what is under way in an orderly manner, then the worker. */
  async close(): Promise<void> {
    this.closing = true;
    const { worker } = this;
    if (worker === undefined) return;
    const answered = new AbortController();
    const orderly = this.ask((id) => ({ type: 'shutdown', id })).catch(() => {});
    // A worker that hangs does not keep the agent from ending.
    const limit = systemClock().sleep(SHUTDOWN_LIMIT_MS, answered.signal);
    await Promise.race([orderly, limit]);
    answered.abort();
    await worker.terminate();
  }

  private ask(question: (id: number) => HostMessage): Promise<unknown> {
    const worker = this.running();
    return this.answers.ask((id) => worker.postMessage(question(id)));
  }

  private running(): Worker {
    this.worker ??= this.spawn();
    return this.worker;
  }

  private spawn(): Worker {
    const worker = new Worker(workerUrl('migration', import.meta.url), {
      workerData: this.settings,
    });
    worker.on('message', (message: ServiceMessage) => this.receive(worker, message));
    worker.on('error', (error) => {
      this.log.error({ event: 'migration-worker.crashed', stack: error.stack });
    });
    worker.on('exit', (exitCode) => this.exited(worker, exitCode));
    return worker;
  }

  private receive(worker: Worker, message: ServiceMessage): void {
    const reply = (id: number, work: () => unknown) => {
      void answerOf(work).then((answer) => {
        worker.postMessage({ type: 'answered', id, answer } satisfies HostMessage);
      });
    };
    switch (message.type) {
      case 'answered':
        return this.answers.settle(message.id, message.answer);
      case 'create-machine':
        return reply(message.id, () => this.events.createMachine(message.description));
      case 'destroy-machine':
        return reply(message.id, () => this.events.destroyMachine());
      default:
        return this.events.message(message);
    }
  }

  private exited(worker: Worker, exitCode: number): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    const error = new SternaError('E_WORKER_DIED', 'Migration worker died', {
      detail: { exitCode },
    });
    this.answers.rejectAll(error);
    if (!this.closing) this.events.died(error);
  }
}
