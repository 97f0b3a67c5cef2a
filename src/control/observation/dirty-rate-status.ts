import {
  type ErrorReport,
  errorReport,
  PAGE_BYTES,
  SternaError,
  toSternaError,
} from '../../base/index.ts';
import type { DirtyRate, DirtyRateMode, DirtyRateRequest } from './dirty-rate.ts';

/** QEMU's bounds (migration/dirtyrate.h). */
const CALC_TIME_MS_MIN = 50;
const CALC_TIME_MS_MAX = 60_000;
const SAMPLE_PAGES_MIN = 128;
const SAMPLE_PAGES_MAX = 16_384;
const SAMPLE_PAGES_DEFAULT = 512;
const MIB = 2 ** 20;

export interface CalcDirtyRateArguments {
  readonly 'calc-time': number;
  readonly 'calc-time-unit'?: string | undefined;
  readonly 'sample-pages'?: number | undefined;
  readonly mode?: string | undefined;
}

/** Throws E_CONFIG_INVALID, in QEMU's words where it has some. */
export function dirtyRateRequest(values: CalcDirtyRateArguments): DirtyRateRequest {
  const mode = values.mode ?? 'page-sampling';
  if (mode === 'dirty-ring') {
    throw invalid('dirty ring is disabled, use page-sampling or dirty-bitmap instead.');
  }
  if (mode !== 'page-sampling' && mode !== 'dirty-bitmap') {
    throw invalid(`Parameter 'mode' does not accept value '${mode}'`);
  }
  const calcTimeMs = values['calc-time'] * unitMs(values['calc-time-unit']);
  if (calcTimeMs < CALC_TIME_MS_MIN || calcTimeMs > CALC_TIME_MS_MAX) {
    throw invalid(
      `Calculation time is out of range[${CALC_TIME_MS_MIN}ms, ${CALC_TIME_MS_MAX}ms].`,
    );
  }
  const samplePages = values['sample-pages'];
  if (samplePages !== undefined && mode !== 'page-sampling') {
    throw invalid("sample-pages is only used with mode 'page-sampling'");
  }
  const sampled = samplePages ?? SAMPLE_PAGES_DEFAULT;
  if (sampled < SAMPLE_PAGES_MIN || sampled > SAMPLE_PAGES_MAX) {
    throw invalid(`sample-pages is out of range[${SAMPLE_PAGES_MIN}, ${SAMPLE_PAGES_MAX}].`);
  }
  return { kind: 'dirty-rate', mode, calcTimeMs, samplePages: sampled };
}

/** The newest measurement of an agent, as `query-dirty-rate` tells it. */
export class DirtyRateStatus {
  private mode: DirtyRateMode = 'page-sampling';
  private request: DirtyRateRequest | undefined;
  private startSeconds = 0;
  private measured: DirtyRate | undefined;
  private error: ErrorReport | undefined;
  private measuring = false;

  get isMeasuring(): boolean {
    return this.measuring;
  }

  /** Throws E_STATE while one runs. */
  begin(request: DirtyRateRequest, nowSeconds: number): void {
    if (this.measuring) {
      throw new SternaError('E_STATE', "the dirty rate's measurement is already in progress");
    }
    this.request = request;
    this.mode = request.mode;
    this.startSeconds = nowSeconds;
    this.measured = undefined;
    this.error = undefined;
    this.measuring = true;
  }

  end(measured: DirtyRate): void {
    this.measuring = false;
    this.measured = measured;
  }

  fail(thrown: unknown): void {
    this.measuring = false;
    const text = 'The dirty rate could not be measured';
    this.error = errorReport(toSternaError(thrown, 'E_WORKER_DIED', text));
  }

  /** QEMU's DirtyRateInfo; what it lacks is under `x-sterna`. Throws E_CONFIG_INVALID. */
  reply(calcTimeUnit: string | undefined): Readonly<Record<string, unknown>> {
    const unit = unitMs(calcTimeUnit);
    const { measured, request, error } = this;
    const vcpuRates = measured?.vcpuBytesPerSecond;
    return {
      status: this.measuring ? 'measuring' : measured === undefined ? 'unstarted' : 'measured',
      ...(measured === undefined
        ? {}
        : { 'dirty-rate': Math.round(measured.bytesPerSecond / MIB) }),
      'start-time': this.startSeconds,
      'calc-time': Math.floor((request?.calcTimeMs ?? 1000) / unit),
      'calc-time-unit': calcTimeUnit ?? 'second',
      'sample-pages':
        this.mode === 'page-sampling' ? (request?.samplePages ?? SAMPLE_PAGES_DEFAULT) : 0,
      mode: this.mode,
      ...(vcpuRates === undefined
        ? {}
        : {
            'vcpu-dirty-rate': vcpuRates.map((rate, id) => ({
              id,
              'dirty-rate': Math.round(rate / MIB),
            })),
          }),
      ...(measured === undefined && error === undefined
        ? {}
        : { 'x-sterna': ownFields(measured, error) }),
    };
  }
}

function ownFields(
  measured: DirtyRate | undefined,
  error: ErrorReport | undefined,
): Readonly<Record<string, unknown>> {
  if (measured === undefined) return { error };
  return {
    'bytes-per-second': Math.round(measured.bytesPerSecond),
    'pages-per-second': Math.round(measured.bytesPerSecond / PAGE_BYTES),
    'measured-ms': Math.round(measured.measuredMs),
  };
}

function unitMs(unit = 'second'): number {
  if (unit === 'second') return 1000;
  if (unit === 'millisecond') return 1;
  throw invalid(`Parameter 'calc-time-unit' does not accept value '${unit}'`);
}

function invalid(message: string): SternaError {
  return new SternaError('E_CONFIG_INVALID', message);
}
