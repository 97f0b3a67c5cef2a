import { PAGE_BYTES } from '../../base/index.ts';
import { invalid, type WorkloadKeys, wholeNumber } from './workload-keys.ts';

/**
 * Replays a recorded guest. Written as `trace,file=PATH`; once its file was read, `pages` and
 * `scriptBytes` say where in the guest's own RAM the trace lies, which is all that crosses.
 */
export interface TraceSpec {
  readonly kind: 'trace';
  /** Absolute, or relative to the agent's directory; empty once it was read. */
  readonly file: string;
  /** RAM that the trace writes; its script begins behind it. 0 before the file was read. */
  readonly pages: number;
  readonly scriptBytes: number;
}

export const TRACE_KEYS = ['file', 'pages', 'script'] as const;

const PAGES_MAX = 2 ** 22;
const SCRIPT_BYTES_MAX = 2 ** 30;

export function buildTraceSpec(values: WorkloadKeys): TraceSpec {
  const file = values.get('file') ?? '';
  const pages = wholeNumber(values, 'pages', 0, 1, PAGES_MAX);
  const scriptBytes = wholeNumber(values, 'script', 0, 4, SCRIPT_BYTES_MAX);
  const isRead = pages > 0 && scriptBytes > 0;
  if ((file === '') === isRead) return { kind: 'trace', file, pages, scriptBytes };
  throw invalid('Workload trace needs the key file', { expected: 'trace,file=PATH' });
}

export function formatTraceSpec({ file, pages, scriptBytes }: TraceSpec): string {
  return file === '' ? `trace,pages=${pages},script=${scriptBytes}` : `trace,file=${file}`;
}

/** What of RAM it needs, script included, bytes. */
export function traceBytes({ file, pages, scriptBytes }: TraceSpec): number {
  if (file === '') return pages * PAGE_BYTES + scriptBytes;
  throw invalid('The file of a workload trace was not read', { file });
}
