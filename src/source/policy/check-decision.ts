import {
  PACE_BYTES_PER_SECOND_MIN,
  type PolicyBegin,
  type PolicyDecision,
  type PolicyPermissions,
} from './policy.ts';

/** As a reason or an explanation is shown; longer ones are cut. */
const TEXT_LENGTH_MAX = 200;
const REASON = /^[a-z][a-z0-9-]{0,31}$/;
const PERCENT_MAX = 99;

/** What came from a policy was held against its contract; `problem` says what is wrong with it. */
export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

export function checkBegin(answer: unknown): Checked<PolicyBegin> {
  if (answer === undefined || answer === null) return { ok: true, value: {} };
  if (!isRecord(answer)) return wrong('begin() must return an object or nothing');
  const { bytesPerSecond } = answer;
  if (!isRate(bytesPerSecond)) return wrongRate(bytesPerSecond);
  return { ok: true, value: bytesPerSecond === undefined ? {} : { bytesPerSecond } };
}

/** `allows`: a decision that the user does not allow is as wrong as one that there is not. */
export function checkDecision(answer: unknown, allows: PolicyPermissions): Checked<PolicyDecision> {
  if (!isRecord(answer)) return wrong(`decide() must return an object, not ${show(answer)}`);
  const because =
    typeof answer.because === 'string' ? { because: answer.because.slice(0, TEXT_LENGTH_MAX) } : {};
  switch (answer.action) {
    case 'iterate':
      return checkIterate(answer, allows, because);
    case 'postcopy':
      if (!allows.postcopy) return wrong('post-copy is not allowed (postcopy-ram)');
      return checkEnd('postcopy', answer.reason, because);
    case 'stop-and-copy':
    case 'give-up':
      return checkEnd(answer.action, answer.reason, because);
    default:
      return wrong(
        `action must be iterate, stop-and-copy, postcopy or give-up, not ${show(answer.action)}`,
      );
  }
}

function checkIterate(
  { bytesPerSecond, passMsMax, throttlePercent }: Readonly<Record<string, unknown>>,
  allows: PolicyPermissions,
  because: { readonly because?: string },
): Checked<PolicyDecision> {
  if (!isRate(bytesPerSecond)) return wrongRate(bytesPerSecond);
  if (!isDuration(passMsMax)) {
    return wrong(`passMsMax must be a number above 0, not ${show(passMsMax)}`);
  }
  const value = {
    action: 'iterate' as const,
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(passMsMax === undefined ? {} : { passMsMax }),
    ...because,
  };
  if (throttlePercent === undefined) return { ok: true, value };
  const isPercent = typeof throttlePercent === 'number' && Number.isFinite(throttlePercent);
  if (!isPercent || throttlePercent < 0 || throttlePercent > PERCENT_MAX) {
    return wrong(`throttlePercent must be 0 to ${PERCENT_MAX}, not ${show(throttlePercent)}`);
  }
  if (throttlePercent > 0 && !allows.throttle) {
    return wrong('the guest must not be slowed (auto-converge)');
  }
  return { ok: true, value: { ...value, throttlePercent: Math.round(throttlePercent) } };
}

function checkEnd(
  action: 'stop-and-copy' | 'postcopy' | 'give-up',
  reason: unknown,
  because: { readonly because?: string },
): Checked<PolicyDecision> {
  if (typeof reason !== 'string' || !REASON.test(reason)) {
    return wrong(`reason must be a word of lower-case letters, not ${show(reason)}`);
  }
  return { ok: true, value: { action, reason, ...because } };
}

function isRate(value: unknown): value is number | undefined {
  if (value === undefined || value === 0) return true;
  return typeof value === 'number' && Number.isFinite(value) && value >= PACE_BYTES_PER_SECOND_MIN;
}

function isDuration(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && value > 0);
}

function wrongRate(value: unknown): { readonly ok: false; readonly problem: string } {
  return wrong(
    `bytesPerSecond must be 0 or a number from ${PACE_BYTES_PER_SECOND_MIN}, not ${show(value)}`,
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.slice(0, 60);
}
