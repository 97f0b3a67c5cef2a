import { CommanderError } from 'commander';
import { type ErrorReport, errorReport, type GuestOwner, SternaError } from '../base/index.ts';
import { QmpError } from '../control/client/index.ts';
import { EXIT_CODES, type ExitCode } from './exit-codes.ts';
import { LeftInPostcopy } from './migration/left-in-postcopy.ts';

/** The last lines that a user sees, and the exit code. */
export interface Failure {
  readonly lines: readonly string[];
  readonly exitCode: ExitCode;
}

/** Nobody answers at a control socket; the codes of the channel speak of migration ports. */
export class AgentUnreachable extends Error {
  readonly reason: SternaError;

  constructor(reason: SternaError) {
    super(reason.message);
    this.reason = reason;
  }
}

/**
 * Turns anything thrown by a command into text: what failed, where, who owns the guest, what to
 * type next.
 */
export function describeFailure(thrown: unknown, command: string): Failure {
  if (thrown instanceof CommanderError) return usageFailure(thrown, command);
  if (thrown instanceof SternaError) return reportedFailure(errorReport(thrown));
  if (thrown instanceof QmpError) return qmpFailure(thrown);
  if (thrown instanceof AgentUnreachable) {
    const nextStep = 'Check that the agent runs, and that --qmp is an address of its ready line.';
    return reportedFailure({ ...errorReport(thrown.reason), nextStep });
  }
  if (thrown instanceof LeftInPostcopy) {
    const { message, nextStep, exitCode } = thrown;
    const owner = describeOwner('destination');
    return { lines: [`sterna: ${message}`, `  ${owner}`, `  next: ${nextStep}`], exitCode };
  }
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return {
    lines: [
      'sterna: Internal error, a defect of Sterna',
      ...stack.split('\n').map((line) => `  ${line}`),
      '  next: report it with these lines and the logs of both sides.',
    ],
    exitCode: EXIT_CODES.BUG,
  };
}

/** The lines and exit code of a failure that came as data, from an agent or from this process. */
export function reportedFailure(report: ErrorReport): Failure {
  const where = [
    report.phase === undefined ? undefined : `phase ${report.phase}`,
    report.side === undefined ? undefined : `at the ${report.side}`,
    report.guestOwner === undefined ? undefined : describeOwner(report.guestOwner),
    describeDetail(report.detail),
  ].filter((part) => part !== undefined);
  return {
    lines: [
      `sterna: ${report.message} [${report.code}]`,
      ...(where.length === 0 ? [] : [`  ${where.join('; ')}`]),
      `  next: ${report.nextStep}`,
    ],
    exitCode: exitCodeOf(report),
  };
}

function exitCodeOf(report: Pick<ErrorReport, 'code' | 'guestOwner'>): ExitCode {
  if (report.code === 'E_CONFIG_INVALID') return EXIT_CODES.USAGE;
  if (report.code === 'E_VERIFY_MISMATCH') return EXIT_CODES.RAM_MISMATCH;
  if (report.code === 'E_OWNERSHIP_UNKNOWN') return EXIT_CODES.OWNER_UNKNOWN;
  if (report.guestOwner === 'unknown') return EXIT_CODES.OWNER_UNKNOWN;
  if (report.code === 'E_CANCELLED') return EXIT_CODES.CANCELLED;
  return EXIT_CODES.FAILED;
}

/** As a clause: "the guest is at the source". */
function describeOwner(owner: GuestOwner): string {
  if (owner === 'unknown') return 'which side owns the guest is not known';
  if (owner === 'none') return 'no side has the guest';
  return `the guest is at the ${owner}`;
}

function usageFailure(error: CommanderError, command: string): Failure {
  // Without a command the help was printed, which says it all.
  if (error.code === 'commander.help') return { lines: [], exitCode: EXIT_CODES.USAGE };
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return {
    lines: [`sterna: ${message}`, `  next: ${`sterna ${command}`.trim()} --help`],
    exitCode: EXIT_CODES.USAGE,
  };
}

function qmpFailure(error: QmpError): Failure {
  if (error.sternaError !== undefined) return reportedFailure(error.sternaError);
  return {
    lines: [
      `sterna: The agent refused the command: ${error.desc} [${error.class}]`,
      '  next: look at its state with sterna info, and at its log.',
    ],
    exitCode: EXIT_CODES.FAILED,
  };
}

/** Numbers and short texts only: the rest is for logs. */
function describeDetail(detail: Readonly<Record<string, unknown>>): string | undefined {
  const parts = Object.entries(detail).flatMap(([key, value]) => {
    if (typeof value === 'number' || typeof value === 'boolean') return [`${key} ${value}`];
    if (typeof value === 'string' && value.length <= 200) return [`${key} ${value}`];
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
      return value.length === 0 ? [] : [`${key}: ${value.join(', ')}`];
    }
    return [];
  });
  return parts.length === 0 ? undefined : parts.join(', ');
}
