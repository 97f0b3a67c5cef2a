import type { GuestMemoryHandles, MachineDescription } from '../../guestmem/index.ts';
import type { DriveSpec } from './board/drive/drive-spec.ts';

/** All that the threads of one agent share of the machine; can be posted. */
export interface RiscvMachineHandles {
  readonly description: MachineDescription;
  readonly memory: GuestMemoryHandles;
  readonly control: SharedArrayBuffer;
  /** Int32: how often a state was loaded; the harts then make anew what they derived from it. */
  readonly loads: SharedArrayBuffer;
  /** Of the devices, see board/board-block.ts. */
  readonly board: SharedArrayBuffer;
  /** Rings of the serial line, see board/serial/serial-ring.ts. */
  readonly serialInput: SharedArrayBuffer;
  readonly serialOutput: SharedArrayBuffer;
  /** What is behind the guest's disks here, in their order. */
  readonly drives: readonly DriveSpec[];
}
