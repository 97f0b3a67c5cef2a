import type { Diagnosis, PolicyInfo, ThrottleInfo } from '../../base/index.ts';
import { milliseconds } from './postcopy-reply.ts';

/** A value of JSON; what is undefined is left out. */
type Json = Readonly<Record<string, unknown>>;

/** `policy`, `throttle` and `diagnosis` of `x-sterna`. */

export function policyReply(policy: PolicyInfo | undefined): Json | undefined {
  if (policy === undefined) return undefined;
  const { name, fallbackReason, enabled, lastDecision } = policy;
  return {
    name,
    ...(fallbackReason === undefined ? {} : { 'fallback-reason': fallbackReason }),
    ...(enabled.length === 0 ? {} : { enabled }),
    ...(lastDecision === undefined ? {} : { decision: lastDecision }),
  };
}

export function throttleReply(throttle: ThrottleInfo | undefined): Json | undefined {
  if (throttle === undefined) return undefined;
  const { percent, meanPercent } = throttle;
  return { percentage: percent, 'mean-percentage': Math.round(meanPercent * 10) / 10 };
}

export function diagnosisReply(diagnosis: Diagnosis | undefined): Json | undefined {
  if (diagnosis === undefined) return undefined;
  const { effectiveBytesPerSecond, requiredDowntimeMs, etaMs } = diagnosis;
  return {
    verdict: diagnosis.verdict,
    'limiting-factor': diagnosis.limitingFactor,
    'working-set-bytes': diagnosis.workingSetBytes,
    'dirty-bytes-per-second': Math.round(diagnosis.dirtyBytesPerSecond),
    ...(effectiveBytesPerSecond === undefined
      ? {}
      : { 'effective-bytes-per-second': Math.round(effectiveBytesPerSecond) }),
    ...(requiredDowntimeMs === undefined
      ? {}
      : { 'required-downtime-ms': milliseconds(requiredDowntimeMs) }),
    ...(etaMs === undefined ? {} : { 'eta-ms': milliseconds(etaMs) }),
    advice: diagnosis.advice.map(({ action, predictedDowntimeMs, predictedTotalMs }) => ({
      action,
      'predicted-downtime-ms': milliseconds(predictedDowntimeMs),
      'predicted-total-ms': milliseconds(predictedTotalMs),
    })),
  };
}
