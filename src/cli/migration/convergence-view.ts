import { Fields } from './fields.ts';

/** Who decides, and why it converges or does not, as `query-migrate` tells it. */
export interface ConvergenceView {
  readonly policy: string | undefined;
  /** Why that is not the one that was asked for. */
  readonly fallbackReason: string | undefined;
  /** Capabilities that were switched on for the policy's sake. */
  readonly enabled: readonly string[];
  /** Mean share of its time that the guest was made to sleep, percent; 0: it never was. */
  readonly throttledPercent: number;
  readonly diagnosis: DiagnosisView | undefined;
}

export interface DiagnosisView {
  readonly verdict: string;
  readonly limitingFactor: string;
  readonly workingSetBytes: number;
  readonly dirtyBytesPerSecond: number;
  readonly effectiveBytesPerSecond: number | undefined;
  readonly requiredDowntimeMs: number | undefined;
  readonly etaMs: number | undefined;
  readonly advice: readonly AdviceView[];
}

export interface AdviceView {
  readonly action: string;
  readonly downtimeMs: number;
  readonly totalMs: number;
}

/** `sterna`: the object of that name. An older agent says nothing of it. */
export function readConvergence(sterna: Fields): ConvergenceView {
  const policy = sterna.object('policy');
  return {
    policy: policy.text('name'),
    fallbackReason: policy.text('fallback-reason'),
    enabled: policy.list('enabled').map(String),
    throttledPercent: sterna.object('throttle').count('mean-percentage'),
    diagnosis: readDiagnosis(sterna.object('diagnosis')),
  };
}

function readDiagnosis(fields: Fields): DiagnosisView | undefined {
  const verdict = fields.text('verdict');
  if (verdict === undefined) return undefined;
  return {
    verdict,
    limitingFactor: fields.text('limiting-factor') ?? 'none',
    workingSetBytes: fields.count('working-set-bytes'),
    dirtyBytesPerSecond: fields.count('dirty-bytes-per-second'),
    effectiveBytesPerSecond: fields.number('effective-bytes-per-second'),
    requiredDowntimeMs: fields.number('required-downtime-ms'),
    etaMs: fields.number('eta-ms'),
    advice: fields.list('advice').map((entry) => {
      const advice = new Fields(entry);
      return {
        action: advice.text('action') ?? '',
        downtimeMs: advice.count('predicted-downtime-ms'),
        totalMs: advice.count('predicted-total-ms'),
      };
    }),
  };
}
