import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { type Clock, systemClock, toSternaError } from '../../base/index.ts';
import { GuestMemory, type MachineState } from '../../guestmem/index.ts';
import { SharedMachine } from '../shared-machine.ts';
import { Board } from './board/board.ts';
import { BoardBlock } from './board/board-block.ts';
import { type BoardEvent, BoardEvents } from './board/board-event.ts';
import { DmaFault } from './board/guest-ram.ts';
import { SerialRing } from './board/serial/serial-ring.ts';
import { boardWallClock } from './board-wall-clock.ts';
import { HART_AREA_BYTES } from './hart/hart-layout.ts';
import { HartState } from './hart-state.ts';
import { boardConfig, riscvConfig } from './riscv-description.ts';
import type { RiscvMachineHandles } from './riscv-handles.ts';
import { loadRiscv, saveRiscv } from './riscv-state.ts';

/** The states of all harts, in the area of the machine's block. */
export function hartStates(memory: GuestMemory, hartCount: number): HartState[] {
  const [block] = memory.blocks;
  if (block === undefined) return [];
  return Array.from(
    { length: hartCount },
    (_, hart) =>
      new HartState(block.memory.buffer, block.layout.machineArea + hart * HART_AREA_BYTES),
  );
}

/** A RISC-V machine as any thread of its agent sees it. */
export class AttachedRiscv extends SharedMachine {
  readonly serial: { readonly input: SerialRing; readonly output: SerialRing };
  protected readonly shared: RiscvMachineHandles;
  protected readonly harts: readonly HartState[];
  protected readonly board: Board;

  protected constructor(handles: RiscvMachineHandles, memory: GuestMemory, clock: Clock) {
    const { description, control } = handles;
    super({ description, memory, control, clock });
    this.shared = handles;
    this.harts = hartStates(memory, description.vcpuCount);
    this.serial = {
      input: new SerialRing(handles.serialInput),
      output: new SerialRing(handles.serialOutput),
    };
    this.board = new Board({
      ...this.serial,
      block: new BoardBlock(handles.board),
      config: boardConfig(description),
      mips: this.harts.map(({ pending }) => pending),
      drives: new Map(),
      ram: noRam(),
      wallClock: boardWallClock(riscvConfig(description).deterministic),
      wake: () => this.control.wake(),
      onEvent: () => {},
    });
  }

  static attach(handles: RiscvMachineHandles, clock: Clock = systemClock()): AttachedRiscv {
    return new AttachedRiscv(handles, GuestMemory.attach(handles.memory), clock);
  }

  /** For `attach` in another thread. */
  handles(): RiscvMachineHandles {
    return this.shared;
  }

  /** Bytes came for the guest's serial line, or there is room for more from it. */
  wake(): void {
    this.control.wake();
  }

  /** Instructions that the harts have executed, across migrations. */
  get steps(): bigint {
    return this.harts.reduce((sum, { steps }) => sum + steps, 0n);
  }

  /** Where each hart is, for a report; of a running one a value of some moment. */
  get programCounters(): readonly bigint[] {
    return this.harts.map(({ pc }) => pc);
  }

  /** What the guest asked of its owner last: it never runs again. */
  get event(): BoardEvent | undefined {
    return new BoardEvents(new BoardBlock(this.shared.board), () => {}).current();
  }

  protected takeState(): MachineState {
    this.syncDrives();
    return saveRiscv(this.stateful());
  }

  protected putState(state: MachineState): void {
    loadRiscv(this.stateful(), state);
    this.noteLoad();
  }

  /** The harts are parked: each looks before it runs again. */
  protected noteLoad(): void {
    // After the state. Pairs with the load in runRiscvHart().
    Atomics.add(new Int32Array(this.shared.loads), 0, 1);
  }

  /** What the guest has written to its disks is there for whoever opens them next. */
  private syncDrives(): void {
    for (const { file, isReadOnly } of this.shared.drives) {
      if (isReadOnly) continue;
      try {
        const descriptor = openSync(file, 'r+');
        try {
          fdatasyncSync(descriptor);
        } finally {
          closeSync(descriptor);
        }
      } catch (error) {
        throw toSternaError(error, 'E_FILE', `The guest's disk ${file} cannot be flushed`);
      }
    }
  }

  private stateful() {
    const { deterministic } = riscvConfig(this.description);
    const { guestClock } = this.control;
    return { harts: this.harts, deterministic, guestClock, board: this.board };
  }
}

/** Outside of the vCPUs nobody polls devices, so that none reaches RAM. */
function noRam() {
  const refuse = (gpa: number): never => {
    throw new DmaFault(gpa);
  };
  return { read: refuse, write: refuse, ensure: refuse };
}
