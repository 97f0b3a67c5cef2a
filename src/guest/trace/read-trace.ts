import { readFileSync } from 'node:fs';
import { formatBytes, PAGE_BYTES, SternaError } from '../../base/index.ts';
import { decodeTrace, type Trace, tracePages } from '../../guestmem/index.ts';
import type { TraceSpec } from '../workload/trace-spec.ts';
import { buildScript } from './replay-script.ts';

/** A trace that a guest will replay, and the words for it in the guest's own RAM. */
export interface ReplayedTrace {
  readonly trace: Trace;
  readonly script: Uint32Array;
  readonly spec: TraceSpec;
}

/**
 * For a guest with `ramBytes` of RAM, beside the script. Throws E_CONFIG_INVALID when the trace
 * does not fit, E_TRACE or E_FILE.
 */
export function readReplayedTrace(
  { file }: TraceSpec,
  ramBytes: number,
  vcpuCount: number,
): ReplayedTrace {
  const trace = decodeTrace(bytesOf(file));
  const pages = ramBytes / PAGE_BYTES;
  const needed = tracePages(trace.header);
  if (needed > pages) {
    throw new SternaError('E_CONFIG_INVALID', "The trace is of more RAM than the guest's", {
      detail: { file, trace: formatBytes(needed * PAGE_BYTES), ram: formatBytes(ramBytes) },
    });
  }
  const script = buildScript(trace, vcpuCount, pages);
  const spec: TraceSpec = { kind: 'trace', file: '', pages, scriptBytes: script.byteLength };
  return { trace, script, spec };
}

function bytesOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SternaError('E_FILE', 'The trace could not be read', { detail: { file }, cause });
  }
}
