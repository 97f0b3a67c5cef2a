import { ERROR_CODES, type ErrorReport } from '../../base/index.ts';

/**
 * A command that the agent refused. `class` and `desc` are QMP's; `sternaError` is there when one
 * of ours answered.
 */
export class QmpError extends Error {
  readonly class: string;
  readonly desc: string;
  readonly sternaError: ErrorReport | undefined;

  constructor(errorClass: string, desc: string, sternaError: ErrorReport | undefined) {
    super(desc);
    this.name = 'QmpError';
    this.class = errorClass;
    this.desc = desc;
    this.sternaError = sternaError;
  }
}

/** The `error` member of a reply, which any program may have written. */
export function qmpErrorFrom(body: unknown): QmpError {
  const { class: errorClass, desc, 'x-sterna': ours } = asRecord(body);
  const text = typeof desc === 'string' ? desc : 'Command failed';
  return new QmpError(
    typeof errorClass === 'string' ? errorClass : 'GenericError',
    text,
    reportFrom(asRecord(ours), text),
  );
}

export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * Undefined for an error of another program, or of a newer version with a code that is not known
 * here.
 */
function reportFrom(
  ours: Readonly<Record<string, unknown>>,
  text: string,
): ErrorReport | undefined {
  const { code } = ours;
  if (typeof code !== 'string' || !Object.hasOwn(ERROR_CODES, code)) return undefined;
  return {
    // It is a key of ERROR_CODES, and so are the other fields what failureReply() wrote.
    code: code as ErrorReport['code'],
    message: text,
    detail: asRecord(ours.detail),
    phase: ours.phase as ErrorReport['phase'],
    side: ours.side as ErrorReport['side'],
    guestOwner: ours['guest-owner'] as ErrorReport['guestOwner'],
    nextStep: String(ours['next-step']),
  };
}
