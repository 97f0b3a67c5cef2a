import { type ErrorReport, errorReport, SternaError, toSternaError } from '../../base/index.ts';
import type { RecordedTrace } from '../../guestmem/index.ts';
import type { TraceRequest } from './trace-file.ts';

const INTERVAL_MS_MIN = 5;
const INTERVAL_MS_MAX = 1000;
const INTERVAL_MS_DEFAULT = 50;

export interface RecordTraceArguments {
  readonly filename: string;
  readonly interval?: number | undefined;
  readonly span?: number | undefined;
}

/** Throws E_CONFIG_INVALID. */
export function traceRequest({ filename, interval, span }: RecordTraceArguments): TraceRequest {
  const intervalMs = interval ?? INTERVAL_MS_DEFAULT;
  if (intervalMs < INTERVAL_MS_MIN || intervalMs > INTERVAL_MS_MAX) {
    const text = `interval is out of range[${INTERVAL_MS_MIN}ms, ${INTERVAL_MS_MAX}ms].`;
    throw new SternaError('E_CONFIG_INVALID', text);
  }
  if (span !== undefined && span < intervalMs) {
    throw new SternaError('E_CONFIG_INVALID', 'span is shorter than one interval.');
  }
  return { kind: 'trace', path: filename, intervalMs, spanMs: span };
}

/** The newest recording of an agent, as `x-query-record-trace` tells it. */
export class RecordingStatus {
  private request: TraceRequest | undefined;
  private recorded: RecordedTrace | undefined;
  private error: ErrorReport | undefined;
  private over: Promise<unknown> = Promise.resolve();

  /** Throws E_STATE while one runs. */
  begin(request: TraceRequest, work: () => Promise<RecordedTrace>): void {
    if (this.isRecording) throw new SternaError('E_STATE', 'The guest is recorded already');
    this.request = request;
    this.recorded = undefined;
    this.error = undefined;
    this.over = work().then(
      (recorded) => {
        this.recorded = recorded;
      },
      (thrown: unknown) => {
        const text = 'The guest could not be recorded';
        this.error = errorReport(toSternaError(thrown, 'E_WORKER_DIED', text));
      },
    );
  }

  /** Resolves when nothing is recorded any more. */
  get settled(): Promise<unknown> {
    return this.over;
  }

  get isRecording(): boolean {
    return this.request !== undefined && this.recorded === undefined && this.error === undefined;
  }

  reply(): Readonly<Record<string, unknown>> {
    const { request, recorded, error } = this;
    if (request === undefined) return { status: 'none' };
    const asked = { filename: request.path, interval: request.intervalMs };
    if (error !== undefined) return { status: 'failed', ...asked, error };
    if (recorded === undefined) return { status: 'recording', ...asked };
    return {
      status: 'completed',
      ...asked,
      intervals: recorded.intervals,
      'span-ms': Math.round(recorded.spanMs),
      'dirtied-pages': recorded.dirtiedPages,
      bytes: recorded.fileBytes,
    };
  }
}
