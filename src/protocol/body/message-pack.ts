import { Packr, Unpackr } from 'msgpackr';
import { assert, SternaError } from '../../base/index.ts';
import { BODY_BYTES_MAX, type MessageName } from '../message-types.ts';
import { messagePackProblem } from './message-pack-guard.ts';

// Plain maps in the smallest form: no records, no extensions, nothing that another implementation
// would not read.
const OPTIONS = { useRecords: false, mapsAsObjects: true, variableMapSize: true } as const;
const packr = new Packr(OPTIONS);
const unpackr = new Unpackr({ ...OPTIONS, int64AsType: 'number' });

export type UnpackResult =
  | { readonly kind: 'ok'; readonly value: unknown }
  | { readonly kind: 'malformed'; readonly problem: string };

/**
 * A control body as it goes on the wire. A body beyond its cap is a defect, or E_MACHINE_STATE
 * for machine state.
 */
export function packBody(name: MessageName, body: Readonly<Record<string, unknown>>): Uint8Array {
  // The packer hands out a view of its own pool; the copy is ours.
  const bytes = new Uint8Array(packr.pack(body));
  const maxBytes = BODY_BYTES_MAX[name];
  if (name === 'MACHINE_STATE' && bytes.length > maxBytes) {
    throw new SternaError('E_MACHINE_STATE', 'State of the machine is too long to be sent', {
      detail: { bytes: bytes.length, maxBytes },
    });
  }
  assert(bytes.length <= maxBytes, `A ${name} body of ${bytes.length} bytes is above ${maxBytes}`);
  return bytes;
}

/**
 * Reads one MessagePack value from a stranger. Never throws; what it returns shares no memory
 * with `bytes`.
 */
export function unpackBody(bytes: Uint8Array): UnpackResult {
  // The copy makes what is read independent of the channel's buffer, which the next frame
  // overwrites, and which may be shared memory that changes between the check and the reading.
  const copy = new Uint8Array(bytes);
  const problem = messagePackProblem(copy);
  if (problem !== undefined) return { kind: 'malformed', problem };
  try {
    return { kind: 'ok', value: unpackr.unpack(copy) };
  } catch (thrown) {
    return { kind: 'malformed', problem: thrown instanceof Error ? thrown.message : 'Unreadable' };
  }
}
