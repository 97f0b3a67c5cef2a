import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';

const FOLLOW =
  '`sterna info` shows it, `sterna migrate --postcopy-resume` follows it; it cannot be cancelled.';

/**
 * This command ends, and the migration does not: the guest runs at the destination, and pages of it
 * still follow.
 */
export class LeftInPostcopy extends Error {
  readonly nextStep: string;
  readonly exitCode: ExitCode;

  private constructor(message: string, nextStep: string, exitCode: ExitCode) {
    super(message);
    this.nextStep = nextStep;
    this.exitCode = exitCode;
  }

  /** The user does not want to wait. */
  static interrupted(): LeftInPostcopy {
    const text = 'Interrupted in post-copy, which goes on without this command';
    return new LeftInPostcopy(text, FOLLOW, EXIT_CODES.CANCELLED);
  }

  /** The source does not answer any more. */
  static agentLost(): LeftInPostcopy {
    const text = 'The connection to the source agent was lost in post-copy';
    const next =
      'see whether that agent still runs: only it has the pages that have not come. If it does: ' +
      'sterna migrate --postcopy-resume.';
    return new LeftInPostcopy(text, next, EXIT_CODES.POSTCOPY_PAUSED);
  }
}
