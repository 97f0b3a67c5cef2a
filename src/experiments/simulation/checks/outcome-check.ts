import type { GuestOwner, MigrationInfo, SternaError } from '../../../base/index.ts';
import type { EventLog } from '../event-log.ts';
import type { FaultPlan } from '../fault-plan.ts';
import type { HistoryPlan } from '../history-plan.ts';
import type { DestinationOutcome, SourceOutcome } from '../migration-attempt.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import type { World } from '../world.ts';
import { HeardAnswers } from './heard-answers.ts';

export interface AttemptEnd {
  readonly source: SimulatedHost;
  readonly destination: SimulatedHost;
  readonly outgoing: SourceOutcome;
  readonly incoming: DestinationOutcome;
  readonly sourceInfo: MigrationInfo;
  readonly destinationInfo: MigrationInfo;
  readonly fault: FaultPlan;
  /** Planned places in the streams that were reached. */
  readonly hits: number;
}

/**
 * What both sides report at the end of an attempt, held against what was seen: who owns the guest,
 * who runs it, what the disks say, and that a failure leaves the source whole and the destination
 * clean. What a killed process would have reported is not asked for.
 */
export class OutcomeCheck {
  readonly answers: HeardAnswers;
  private readonly log: EventLog;
  private readonly plan: HistoryPlan;

  constructor({ log, plan }: Pick<World, 'log' | 'plan'>, source: SimulatedHost) {
    this.log = log;
    this.plan = plan;
    this.answers = new HeardAnswers(source);
    log.watchWith(this.answers);
  }

  check(end: AttemptEnd): void {
    const { outgoing, incoming } = end;
    if (outgoing.status !== 'killed') {
      this.checkSourceAnswer(end, outgoing);
      this.checkSourceHost(end, outgoing);
    }
    if (incoming.status === 'completed' && isTakenBack(outgoing)) this.checkOverruled(end);
    else if (incoming.status !== 'killed') this.checkDestination(end);
    if (outgoing.status !== 'killed' && incoming.status !== 'killed') {
      this.checkBothSides(end, outgoing);
      this.checkLiveness(end);
    }
    this.checkStatistics(end);
    if (end.fault.kind === 'none') this.checkNothingWentWrong(end);
  }

  /** E_OWNERSHIP_UNKNOWN exactly when GRANT may have been sent and no answer came. */
  private checkSourceAnswer({ fault, hits }: AttemptEnd, outgoing: SourceOutcome): void {
    const { granted, answer } = this.answers;
    const code = outgoing.error?.code;
    if (isTakenBack(outgoing)) {
      this.require(granted, 'source took back a guest that it had not given away');
      this.require(ownerAtSource(outgoing) === 'source', 'source took the guest back for another');
      return;
    }
    const owner = ownerAtSource(outgoing);
    const situation = `when GRANT was ${granted ? '' : 'not '}sent, answer: ${answer}`;
    this.require(owner !== undefined, `source reports no owner with ${code}`);
    const isUnknown = granted && answer === 'none';
    this.require(
      isUnknown === (code === 'E_OWNERSHIP_UNKNOWN'),
      `source reports ${code ?? 'success'} ${situation}`,
    );
    this.require(
      (isUnknown || answer === 'lost') === (owner === 'unknown'),
      `source reports owner ${owner} ${situation}`,
    );
    this.require(
      (granted && answer === 'has-it') === (outgoing.status === 'completed'),
      `source ${outgoing.status} with answer ${answer}`,
    );
    const canAsk = this.plan.recovery.connects && fault.kind === 'frame' && hits <= 1;
    this.require(!(isUnknown && canAsk), 'source could ask, and still does not know');
  }

  private checkSourceHost({ source, fault }: AttemptEnd, outgoing: SourceOutcome): void {
    const { guest, name } = source;
    if (ownerAtSource(outgoing) !== 'source') {
      this.require(!source.isRunning, `${name} runs a guest that it reports as given away`);
      const state = source.record?.state ?? 'nothing';
      this.require(
        ['granting', 'granted', 'lost'].includes(state),
        `${name} has given the guest away, and its disk says ${state}`,
      );
      return;
    }
    // A disk that takes no record any more may keep the guest from running, but must not lose it.
    const diskIsFull = fault.kind === 'ledger' && fault.side === 'source' && fault.lasting;
    const standsStill = diskIsFull && source.record?.state === 'granting';
    this.require(source.isRunning || standsStill, `${name} owns the guest and does not run it`);
    const held = guest?.machine.heldPages();
    const problems = guest?.machine.problems(held) ?? ['it is gone'];
    // One that was taken back is not what this machine has made of it.
    const lost = isTakenBack(outgoing)
      ? []
      : (guest?.machine.pagesThatDiffer(guest.memory, held) ?? []);
    this.require(problems.length === 0, `the guest at ${name} is damaged: ${problems[0]}`);
    this.require(lost.length === 0, `the guest at ${name} lost pages: ${lost.slice(0, 5)}`);
  }

  private checkDestination({ destination, incoming, fault }: AttemptEnd): void {
    const { guest, name } = destination;
    const state = destination.record?.state ?? 'nothing';
    if (incoming.status === 'completed' || incoming.status === 'stranded') {
      this.require(this.answers.granted, `${name} has the guest without GRANT`);
      this.require(state === 'owner', `${name} has the guest, and its disk says ${state}`);
      const reasons = [...(guest?.pauseReasons() ?? ['gone'])];
      const expected = this.plan.startPaused ? ['operator'] : [];
      this.require(
        reasons.join() === expected.join(),
        `the guest at ${name} stands still for ${reasons}, not for ${expected}`,
      );
      if (incoming.status === 'completed') this.checkNobodyWaits(destination);
      return;
    }
    const owner = incoming.error?.guestOwner;
    const diskFails = fault.kind === 'ledger' && fault.side === 'destination';
    this.require(guest === undefined, `${name} failed and still has a guest`);
    this.require(
      owner === 'source' || (owner === 'unknown' && diskFails),
      `${name} failed and reports owner ${owner}`,
    );
    if (diskFails) return;
    this.require(
      state === 'abandoned' || state === 'nothing' || state === 'granted' || state === 'lost',
      `${name} failed, and its disk says ${state}`,
    );
  }

  /** It had the whole guest when an operator took that back, who was wrong, and has heard of it. */
  private checkOverruled({ destination: { guest, name, record } }: AttemptEnd): void {
    this.require(guest === undefined, `${name} keeps a guest that was taken back`);
    const state = record?.state ?? 'nothing';
    this.require(state === 'granted', `${name} was overruled, and its disk says ${state}`);
  }

  private checkNobodyWaits({ guest, name }: SimulatedHost): void {
    const waiting = guest?.machine.faults.waiting().length ?? 0;
    this.require(waiting === 0, `the guest at ${name} is whole, and ${waiting} vCPUs wait`);
    const missing = guest?.memory.blocks.reduce((sum, block) => sum + block.missingPages(), 0);
    this.require(missing === 0, `${name} completed without ${missing} pages`);
  }

  private checkBothSides({ incoming }: AttemptEnd, outgoing: SourceOutcome): void {
    if (incoming.status === 'completed' && isTakenBack(outgoing)) return;
    const owner = ownerAtSource(outgoing);
    const hasIt = incoming.status === 'completed' || incoming.status === 'stranded';
    if (owner === 'destination')
      this.require(
        incoming.status === 'completed',
        `source completed, destination ${incoming.status}`,
      );
    if (owner === 'source')
      this.require(!hasIt, 'the source has the guest, and the destination has it too');
  }

  /** With both sides alive and ways between them, post-copy ends, however often a link breaks. */
  private checkLiveness({ outgoing, incoming }: AttemptEnd): void {
    if (!this.answers.inPostcopy || isTakenBack(outgoing)) return;
    this.require(
      outgoing.status === 'completed' && incoming.status === 'completed',
      `post-copy did not end: source ${describe(outgoing.error)}, destination ${incoming.status}`,
    );
  }

  /** The channels' own counters are the truth. */
  private checkStatistics({ source, sourceInfo, destinationInfo }: AttemptEnd): void {
    const { channels } = source;
    const sentBytes = channels.reduce((sum, channel) => sum + channel.sentBytes, 0);
    const { transferredBytes } = sourceInfo.ram;
    // What an attempt to come back has said in vain is not the migration's.
    const fits =
      channels.length === 1 ? transferredBytes === sentBytes : transferredBytes <= sentBytes;
    this.require(fits, `source counts ${transferredBytes} of ${sentBytes} bytes sent`);
    for (const { verify, side } of [sourceInfo, destinationInfo])
      this.require(verify.status !== 'mismatch', `${side} found RAM that differs`);
  }

  private checkNothingWentWrong({ outgoing, incoming, sourceInfo }: AttemptEnd): void {
    const { mode, timeoutMs, timeoutAction, verify } = this.plan.parameters;
    const mayGiveUp =
      ['precopy', 'hybrid'].includes(mode) && timeoutMs > 0 && timeoutAction === 'cancel';
    if (mayGiveUp && outgoing.error?.code === 'E_PRECOPY_TIMEOUT') return;
    this.require(
      outgoing.status === 'completed' && incoming.status === 'completed',
      `nothing went wrong, and still: ${describe(outgoing.error)}, ${describe(incoming.error)}`,
    );
    const expected = verify === 'off' ? 'skipped' : 'identical';
    this.require(
      sourceInfo.verify.status === expected,
      `verification ended as ${sourceInfo.verify.status}, not ${expected}`,
    );
  }

  private require(holds: boolean, otherwise: string): void {
    if (!holds) this.log.violation(otherwise);
  }
}

function ownerAtSource({ status, error }: SourceOutcome): GuestOwner | undefined {
  return status === 'completed' ? 'destination' : error?.guestOwner;
}

function isTakenBack({ error }: SourceOutcome): boolean {
  return error?.code === 'E_TAKEN_BACK';
}

function describe(error: SternaError | undefined): string {
  return error === undefined ? 'success' : `${error.code} (${error.message})`;
}
