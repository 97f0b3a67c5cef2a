import type { GuestOwner, MigrationInfo, SternaError } from '../../../base/index.ts';
import type { IncomingOutcome } from '../../../destination/index.ts';
import type { MigrationOutcome } from '../../../source/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { FaultPlan, HistoryPlan } from '../history-plan.ts';
import type { SimulatedHost } from '../simulated-host.ts';

export interface AttemptEnd {
  readonly source: SimulatedHost;
  readonly destination: SimulatedHost;
  readonly outgoing: MigrationOutcome;
  readonly incoming: IncomingOutcome;
  readonly sourceInfo: MigrationInfo;
  readonly destinationInfo: MigrationInfo;
  readonly fault: FaultPlan;
}

/** What the two sides said when it mattered. */
class Answers implements Checker {
  granted = false;
  answer: 'none' | 'resumed' | 'does-not-have-it' = 'none';
  private readonly source: SimulatedHost;

  constructor(source: SimulatedHost) {
    this.source = source;
  }

  saw(event: SimulationEvent): void {
    if (event.kind === 'sends' && event.host === this.source && event.name === 'GRANT')
      this.granted = true;
    if (event.kind !== 'receives' || event.host !== this.source || this.answer !== 'none') return;
    if (event.name === 'RESUMED') this.answer = 'resumed';
    if (event.name === 'ERROR' && event.guestOwner === 'source') this.answer = 'does-not-have-it';
  }
}

/**
 * What both sides report at the end of an attempt, held against what was seen: who owns the guest,
 * who runs it, what the disks say, and that a failure leaves the source whole and the destination
 * clean.
 */
export class OutcomeCheck {
  readonly answers: Answers;
  private readonly log: EventLog;
  private readonly plan: HistoryPlan;

  constructor(log: EventLog, plan: HistoryPlan, source: SimulatedHost) {
    this.log = log;
    this.plan = plan;
    this.answers = new Answers(source);
    log.watchWith(this.answers);
  }

  check(end: AttemptEnd): void {
    this.checkSourceAnswer(end);
    this.checkSourceHost(end);
    this.checkDestination(end);
    this.checkBothSides(end);
    this.checkStatistics(end);
    if (end.fault.kind === 'none') this.checkNothingWentWrong(end);
  }

  /** E_OWNERSHIP_UNKNOWN exactly when GRANT may have been sent and no answer came. */
  private checkSourceAnswer({ outgoing }: AttemptEnd): void {
    const { granted, answer } = this.answers;
    const code = outgoing.error?.code;
    const owner = ownerAtSource(outgoing);
    this.require(owner !== undefined, `source reports no owner with ${code}`);
    const isUnknown = granted && answer === 'none';
    this.require(
      isUnknown === (code === 'E_OWNERSHIP_UNKNOWN'),
      `source reports ${code ?? 'success'} when GRANT was ${granted ? '' : 'not '}sent, answer: ${answer}`,
    );
    this.require(
      isUnknown === (owner === 'unknown'),
      `source reports owner ${owner} when GRANT was ${granted ? '' : 'not '}sent, answer: ${answer}`,
    );
    this.require(
      (granted && answer === 'resumed') === (outgoing.status === 'completed'),
      `source ${outgoing.status} with answer ${answer}`,
    );
  }

  private checkSourceHost({ source, outgoing, fault }: AttemptEnd): void {
    const { guest, name } = source;
    if (ownerAtSource(outgoing) !== 'source') {
      this.require(!source.isRunning, `${name} runs a guest that it reports as given away`);
      const state = source.record?.state;
      this.require(
        state === 'granting' || state === 'granted',
        `${name} has given the guest away, and its disk says ${state}`,
      );
      return;
    }
    // A disk that takes no record any more may keep the guest from running, but must not lose it.
    const diskIsFull = fault.kind === 'ledger' && fault.side === 'source' && fault.lasting;
    const standsStill = diskIsFull && source.record?.state === 'granting';
    this.require(source.isRunning || standsStill, `${name} owns the guest and does not run it`);
    const problems = guest?.machine.problems() ?? ['it is gone'];
    const lost = guest?.machine.pagesThatDiffer(guest.memory) ?? [];
    this.require(problems.length === 0, `the guest at ${name} is damaged: ${problems[0]}`);
    this.require(lost.length === 0, `the guest at ${name} lost pages: ${lost.slice(0, 5)}`);
  }

  private checkDestination({ destination, incoming, fault }: AttemptEnd): void {
    const { guest, name } = destination;
    const state = destination.record?.state ?? 'nothing';
    if (incoming.status === 'completed') {
      this.require(this.answers.granted, `${name} completed without GRANT`);
      this.require(state === 'owner', `${name} completed, and its disk says ${state}`);
      const reasons = [...(guest?.pauseReasons() ?? ['gone'])];
      const expected = this.plan.startPaused ? ['operator'] : [];
      this.require(
        reasons.join() === expected.join(),
        `the guest at ${name} stands still for ${reasons}, not for ${expected}`,
      );
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
      state === 'abandoned' || state === 'nothing' || state === 'granted',
      `${name} failed, and its disk says ${state}`,
    );
  }

  private checkBothSides({ outgoing, incoming }: AttemptEnd): void {
    const owner = ownerAtSource(outgoing);
    const completed = incoming.status === 'completed';
    if (owner === 'destination')
      this.require(completed, `source completed, destination ${incoming.status}`);
    if (owner === 'source')
      this.require(!completed, 'the source has the guest, and the destination completed');
  }

  /** The channel's own counters are the truth. */
  private checkStatistics({ source, sourceInfo, destinationInfo }: AttemptEnd): void {
    const sentBytes = source.channel?.sentBytes;
    const { transferredBytes } = sourceInfo.ram;
    this.require(
      transferredBytes === sentBytes,
      `source counts ${transferredBytes} of ${sentBytes} bytes sent`,
    );
    for (const { verify, side } of [sourceInfo, destinationInfo])
      this.require(verify.status !== 'mismatch', `${side} found RAM that differs`);
  }

  private checkNothingWentWrong({ outgoing, incoming, sourceInfo }: AttemptEnd): void {
    const { mode, timeoutMs, timeoutAction, verify } = this.plan.parameters;
    const mayGiveUp = mode === 'precopy' && timeoutMs > 0 && timeoutAction === 'cancel';
    if (mayGiveUp && outgoing.error?.code === 'E_PRECOPY_TIMEOUT') return;
    this.require(
      outgoing.status === 'completed' && incoming.status === 'completed',
      `nothing went wrong, and still: ${describe(outgoing.error)}, ${describe(errorOf(incoming))}`,
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

function ownerAtSource({ status, error }: MigrationOutcome): GuestOwner | undefined {
  return status === 'completed' ? 'destination' : error?.guestOwner;
}

function errorOf(outcome: IncomingOutcome): SternaError | undefined {
  return outcome.error;
}

function describe(error: SternaError | undefined): string {
  return error === undefined ? 'success' : `${error.code} (${error.message})`;
}
