import { closeSync, openSync, writeSync } from 'node:fs';
import { type Clock, type Random, toSternaError } from '../../base/index.ts';
import { fileError } from '../../channel/index.ts';
import {
  type Machine,
  type RecordedTrace,
  recordTrace,
  type TraceSettings,
} from '../../guestmem/index.ts';

export interface TraceRequest extends TraceSettings {
  readonly kind: 'trace';
  readonly path: string;
}

/**
 * Records into a file, which is whole when this resolves; what lay there before is overwritten.
 * An interval is a few KiB, written when it is over. Rejects with E_FILE or E_WORKER_DIED.
 */
export async function recordTraceFile(
  machine: Machine,
  request: TraceRequest,
  clock: Clock,
  random: Random,
  signal: AbortSignal,
): Promise<RecordedTrace> {
  const { path } = request;
  // What a guest writes is nobody else's to know.
  const file = attempt(path, 'open', () => openSync(path, 'w', 0o600));
  try {
    return await recordTrace(machine, request, clock, random, signal, (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        at += attempt(path, 'write', () => writeSync(file, bytes, at));
      }
    });
  } catch (thrown) {
    throw toSternaError(thrown, 'E_WORKER_DIED', 'The guest could not be recorded');
  } finally {
    closeSync(file);
  }
}

function attempt<T>(path: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw fileError(path, what, thrown);
  }
}
