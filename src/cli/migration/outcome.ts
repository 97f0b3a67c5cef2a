import { type ErrorReport, errorReport, SternaError } from '../../base/index.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { reportedFailure } from '../failure.ts';
import { isInPostcopy, type MigrationView } from './migration-view.ts';

/** How a migration ended, in the terms of the shell. */
export interface Outcome {
  readonly exitCode: ExitCode;
  /** For standard error; empty when all is well. */
  readonly lines: readonly string[];
}

export function outcomeOf(view: MigrationView): Outcome {
  if (view.verify.status === 'mismatch') {
    const { lines } = reportedFailure(view.error ?? mismatchReport(view));
    return { exitCode: EXIT_CODES.RAM_MISMATCH, lines };
  }
  if (isInPostcopy(view)) return withoutLink(view);
  if (view.status === 'completed') return { exitCode: EXIT_CODES.OK, lines: [] };
  const failure = reportedFailure(withOwner(view.error ?? fallbackReport(view), view));
  return { exitCode: failure.exitCode, lines: failure.lines };
}

/** The migration is not over: this side goes on trying, or waits to be told to. */
function withoutLink({ status, owner, postcopy }: MigrationView): Outcome {
  const { pausedError, waitsForResume, remainingPages } = postcopy ?? {};
  const lost = new SternaError('E_CHANNEL_RESET', 'The link to the destination is lost');
  const resume =
    'sterna migrate --postcopy-resume (at another address: sterna recover at the destination first)';
  const nextStep = waitsForResume
    ? `make the link whole, then ${resume}.`
    : `the source goes on trying; ${resume} tries at once and follows it.`;
  const { lines } = reportedFailure({
    ...(pausedError ?? errorReport(lost)),
    phase: status,
    // Unknown when the link was lost around GRANT.
    guestOwner: owner,
    detail: { ...pausedError?.detail, remainingPages: remainingPages ?? 0 },
    nextStep,
  });
  return { exitCode: EXIT_CODES.POSTCOPY_PAUSED, lines };
}

/** An error that does not say who owns the guest gets what the agent says. */
function withOwner(report: ErrorReport, view: MigrationView): ErrorReport {
  return report.guestOwner === undefined ? { ...report, guestOwner: view.owner } : report;
}

function mismatchReport(view: MigrationView): ErrorReport {
  return errorReport(
    new SternaError('E_VERIFY_MISMATCH', 'The RAM of the two sides differs', {
      guestOwner: view.owner,
      detail: { first: view.verify.mismatches.slice(0, 5) },
    }),
  );
}

function fallbackReport(view: MigrationView): ErrorReport {
  const cancelled = view.status === 'cancelled';
  const text =
    view.errorText ?? (cancelled ? 'The migration was cancelled' : 'The migration failed');
  const code = cancelled ? 'E_CANCELLED' : 'E_CHANNEL_RESET';
  return errorReport(new SternaError(code, text, { guestOwner: view.owner }));
}
