import {
  type Clock,
  type Logger,
  type MigrationInfo,
  type OwnershipLedger,
  type ReachFault,
  SternaError,
} from '../../base/index.ts';
import type { SecuritySettings } from '../../channel/index.ts';
import type { Machine, MachineDescription, MachineFactory } from '../../guestmem/index.ts';
import { claimGuest } from '../../source/index.ts';
import { DirtyLimitLoop } from '../dirty-limit/dirty-limit-loop.ts';
import type { HostDevices } from '../machine/host-devices.ts';
import { attachMachine, type MachineHandles, machineRefusal } from '../machine/local-machine.ts';
import { LogTurns } from '../observation/log-turns.ts';
import { type ObservationRequest, Observer } from '../observation/observer.ts';
import { AnnouncedMachine } from './announced-machine.ts';
import { connectDestination } from './connect-destination.ts';
import { IncomingPort } from './incoming-port.ts';
import { LinkProbes } from './link-probes.ts';
import type {
  CancelOutcome,
  ClaimRequest,
  HostMessage,
  OutgoingRequest,
  ProbeRequest,
  ServiceMessage,
} from './migration-messages.ts';
import { OutgoingJob } from './outgoing-job.ts';
import { answerOf, PendingAnswers } from './pending-answers.ts';

export interface ServiceOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: OwnershipLedger;
  /** For the engines. */
  readonly reached: ReachFault;
  readonly security: SecuritySettings;
  readonly drives: HostDevices['shapes'];
  readonly post: (message: ServiceMessage) => void;
}

/**
 * A migration that can no longer be cancelled is over within the limits of its hand-over; this is
 * for one that is not.
 */
const SHUTDOWN_LIMIT_MS = 5_000;
/** For a destination that turns up again, each time. */
const CLAIM_LIMIT_MS = 10_000;

/**
 * The migration worker's half: owns sockets and engines, does what the main thread asks, and tells
 * what happens.
 */
export class MigrationService {
  private readonly options: ServiceOptions;
  private readonly answers = new PendingAnswers();
  private readonly incoming: IncomingPort;
  private readonly dirtyLimits: DirtyLimitLoop;
  private readonly observer: Observer;
  private readonly logTurns: LogTurns;
  private readonly probes: LinkProbes;
  private readonly closing = new AbortController();
  /** Who has the guest of the last migration, asked behind its end. */
  private question:
    | { readonly giveUp: AbortController; readonly learnt: Promise<void> }
    | undefined;
  private outgoing: { readonly job: OutgoingJob; readonly settled: Promise<void> } | undefined;

  constructor(options: ServiceOptions) {
    this.options = options;
    const { clock, log, ledger, reached, security, post } = options;
    this.dirtyLimits = new DirtyLimitLoop(clock, log);
    this.observer = new Observer(clock);
    this.logTurns = new LogTurns(this.dirtyLimits, this.observer);
    this.probes = new LinkProbes({ clock, log, security });
    this.incoming = new IncomingPort({
      clock,
      log,
      ledger,
      reached,
      security,
      factory: this.factory(),
      publish: (info) => post({ type: 'info', info }),
      resident: {
        isLeaving: () => this.isLeaving,
        mayYield: () => this.endDeparture(),
        mustStand: () => post({ type: 'yield-guest' }),
        yielded: () => post({ type: 'guest-yielded' }),
      },
      ended: (completed) => post({ type: 'incoming-ended', completed }),
    });
  }

  handle(message: HostMessage): void {
    switch (message.type) {
      case 'listen':
        return this.answer(message.id, () => this.incoming.listen(message.request));
      case 'outgoing':
        return this.start(message.request);
      case 'cancel':
        return this.answer(message.id, () => this.cancel());
      case 'guest-ended':
        return this.outgoing?.job.guestEnded();
      case 'start-postcopy':
        return this.answer(message.id, () => this.departing().startPostcopy());
      case 'pause-link':
        return this.answer(message.id, () => this.pausable(message.side).pauseLink());
      case 'resume':
        return this.answer(message.id, () => this.departing().resume(message.uri));
      case 'recover':
        return this.answer(message.id, () => this.incoming.recover(message.uri));
      case 'take-back':
        return this.answer(message.id, () => this.takeBack());
      case 'end-question':
        return this.answer(message.id, () => this.endQuestion());
      case 'claim':
        return void this.claim(message.request);
      case 'set-parameters':
        return this.outgoing?.job.setParameters(message.changes);
      case 'set-incoming':
        return this.incoming.configure(message.settings);
      case 'set-resident':
        return this.incoming.setResident(message.resident);
      case 'dirty-limit': {
        const { machine, vcpu, limit, periodMs } = message.request;
        return this.answer(message.id, () =>
          this.dirtyLimits.set(attachMachine(machine), vcpu, limit, periodMs),
        );
      }
      case 'cancel-dirty-limit':
        return this.answer(message.id, () => this.dirtyLimits.cancel(message.vcpu));
      case 'query-dirty-limit':
        return this.answer(message.id, () => this.dirtyLimits.query());
      case 'observe':
        return this.answer(message.id, () => this.observe(message.request, message.machine));
      case 'end-observation':
        return this.answer(message.id, () => this.observer.end());
      case 'probe-link':
        return this.answer(message.id, () => this.probe(message.request));
      case 'shutdown':
        return this.answer(message.id, () => this.shutdown());
      case 'answered':
        return this.answers.settle(message.id, message.answer);
    }
  }

  private start(request: OutgoingRequest): void {
    const { clock, log, ledger, reached, security, post } = this.options;
    const job = new OutgoingJob({
      request,
      machine: this.attach(request.machine),
      clock,
      log,
      ledger,
      reached,
      security,
      publish: (info) => post({ type: 'info', info }),
    });
    // A guest that has just come can be sent on; first its RAM is compared with where it came from.
    // And an attempt that has failed may still be saying farewell to its peer.
    const ready = Promise.all([
      this.incoming.settled,
      this.outgoing?.settled,
      this.probes.end(),
      this.logTurns.beginMigration(),
    ]);
    const settled = job.run(ready).finally(() => {
      if (this.outgoing?.job === job) this.outgoing = undefined;
      this.logTurns.endMigration(job.guestLeft);
      this.incoming.departed(job.isCompleted);
      post({ type: 'outgoing-ended', migrationId: request.migrationId });
      this.learnOwner(job);
    });
    this.outgoing = { job, settled };
  }

  /** Also after its guest has come, a migration has its memory until it is proven. */
  private async observe(request: ObservationRequest, machine: MachineHandles): Promise<unknown> {
    await Promise.all([this.incoming.settled, this.outgoing?.settled]);
    return this.logTurns.observe(attachMachine(machine), request);
  }

  /** Also after its guest has gone or come, a migration has the link until it is proven. */
  private async probe(request: ProbeRequest): Promise<unknown> {
    await Promise.all([this.incoming.settled, this.outgoing?.settled]);
    if (this.outgoing !== undefined) throw migrating();
    return this.probes.measure(request);
  }

  private departing(): OutgoingJob {
    if (this.outgoing !== undefined) return this.outgoing.job;
    throw new SternaError('E_STATE', 'There is no migration under way');
  }

  private pausable(side: MigrationInfo['side']): { pauseLink(): void } {
    return side === 'source' ? this.departing() : this.incoming;
  }

  private cancel(): CancelOutcome {
    return this.outgoing?.job.cancel() ?? this.incoming.cancel();
  }

  /** Soon over: in post-copy the guest has gone, but it takes as long as the rest of its RAM. */
  private get isLeaving(): boolean {
    if (this.outgoing === undefined) return false;
    const { job } = this.outgoing;
    return job.guestLeft && !job.servesPages;
  }

  /** Of a guest that another side claims. True when there is none. */
  private endDeparture(): boolean {
    this.outgoing?.job.cancel();
    return this.outgoing === undefined;
  }

  private takeBack(): Promise<number> {
    if (this.outgoing !== undefined) return this.outgoing.job.takeBack();
    throw new SternaError('E_STATE', 'There is no paused migration to take the guest back from');
  }

  /** Behind its end: nobody waits for that but the guest. */
  private learnOwner(job: OutgoingJob): void {
    const giveUp = new AbortController();
    const learnt = job.learnOwner(AbortSignal.any([giveUp.signal, this.closing.signal]));
    this.question = { giveUp, learnt };
  }

  private async endQuestion(): Promise<void> {
    this.question?.giveUp.abort();
    await this.question?.learnt;
  }

  private async claim({ uri, ...claim }: ClaimRequest): Promise<void> {
    const { clock, log, security, post } = this.options;
    const timeoutMs = CLAIM_LIMIT_MS;
    const connect = (signal: AbortSignal) =>
      connectDestination({ uri, clock, security, timeoutMs, signal });
    const { signal } = this.closing;
    const isTold = await claimGuest(claim, { connect, clock, log, limitMs: timeoutMs, signal });
    if (isTold) post({ type: 'claim-answered', migrationId: claim.migrationId });
  }

  private async shutdown(): Promise<void> {
    this.closing.abort();
    void this.dirtyLimits.hold();
    await Promise.all([this.observer.end(), this.probes.end()]);
    const { outgoing } = this;
    outgoing?.job.cancel();
    // Whoever ends an agent that still serves pages has been told what it costs.
    const departed = outgoing?.job.servesPages === true ? undefined : outgoing?.settled;
    const over = Promise.all([departed, this.incoming.close()]);
    await Promise.race([over, this.options.clock.sleep(SHUTDOWN_LIMIT_MS)]);
  }

  /** The main thread allocates RAM and starts vCPUs; this thread sees the same memory. */
  private factory(): MachineFactory {
    const { post } = this.options;
    return {
      refusal: (description) => machineRefusal(description, this.options.drives),
      create: async (description: MachineDescription) => {
        const handles = await this.answers.ask((id) =>
          post({ type: 'create-machine', id, description }),
        );
        // That is what main answers to create-machine.
        return this.attach(handles as MachineHandles);
      },
      destroy: async () => {
        await this.answers.ask((id) => post({ type: 'destroy-machine', id }));
      },
    };
  }

  private attach(handles: MachineHandles): Machine {
    const { post } = this.options;
    return new AnnouncedMachine(attachMachine(handles), {
      paused: () => post({ type: 'paused' }),
      resumed: (reason) => post({ type: 'resumed', reason }),
    });
  }

  private answer(id: number, work: () => unknown): void {
    void answerOf(work).then((answer) => this.options.post({ type: 'answered', id, answer }));
  }
}

function migrating(): SternaError {
  return new SternaError('E_STATE', "There's a migration process in progress");
}
