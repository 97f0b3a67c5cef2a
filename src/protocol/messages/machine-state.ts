import { MACHINE_STATE_BYTES_MAX, NAME_LENGTH_MAX } from '../../base/index.ts';
import { type BodyResult, readBody } from '../body/body-reader.ts';
import { packBody } from '../body/message-pack.ts';
import { UINT32_MAX } from '../body/page-count.ts';

/**
 * The state of vCPUs and devices. The machine names and versions its sections; nobody else looks
 * inside.
 */
export interface MachineStateBody {
  readonly sections: readonly MachineStateBodySection[];
}

export interface MachineStateBodySection {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

/** Both have this body. */
type StateName = 'MACHINE_STATE' | 'JOURNAL_STATE';

const SECTION_COUNT_MAX = 256;

/** Throws E_MACHINE_STATE when the state is longer than a frame of its type may be. */
export function encodeMachineState(
  body: MachineStateBody,
  name: StateName = 'MACHINE_STATE',
): Uint8Array {
  return packBody(name, {
    sections: body.sections.map(({ name, version, bytes }) => ({ name, version, bytes })),
  });
}

export function decodeMachineState(
  bytes: Uint8Array,
  name: StateName = 'MACHINE_STATE',
): BodyResult<MachineStateBody> {
  return readBody(name, bytes, (fields) => ({
    sections: fields.maps('sections', SECTION_COUNT_MAX, (section) => ({
      name: section.text('name', NAME_LENGTH_MAX),
      version: section.integer('version', 0, UINT32_MAX),
      bytes: section.bytes('bytes', MACHINE_STATE_BYTES_MAX),
    })),
  }));
}
