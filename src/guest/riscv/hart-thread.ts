import { systemClock } from '../../base/index.ts';
import {
  ControlBlock,
  dirtyMapAddress,
  GuestMemory,
  MissingPages,
  type MmuSettings,
  type RamBlock,
  Safepoint,
  VcpuControl,
} from '../../guestmem/index.ts';
import { runToSafepoint } from '../run-to-safepoint.ts';
import { hartStates } from './attached-riscv.ts';
import { FINISHER } from './board/address-map.ts';
import { Board } from './board/board.ts';
import { BoardBlock } from './board/board-block.ts';
import type { BoardEvent } from './board/board-event.ts';
import type { Drive } from './board/drive/drive.ts';
import { FileDrive } from './board/drive/file-drive.ts';
import type { SbiHart } from './board/sbi/sbi-call.ts';
import { lossyOutput, SerialRing } from './board/serial/serial-ring.ts';
import { boardWallClock } from './board-wall-clock.ts';
import { HART_AREA_BYTES } from './hart/hart-layout.ts';
import { runHart } from './hart-loop.ts';
import { type HartModule, instantiateHart } from './hart-module.ts';
import { HartRam } from './hart-ram.ts';
import { type HartState, TICKS_PER_MS } from './hart-state.ts';
import { boardConfig, FIRST_DRIVE_SLOT, riscvConfig } from './riscv-description.ts';
import type { RiscvMachineHandles } from './riscv-handles.ts';

/** What the finisher is told: the program passed, or failed with a code in the upper half. */
const FINISHER_PASS = 0x5555;
const FINISHER_FAIL = 0x3333;

export interface HartWorkerData {
  readonly vcpu: number;
  readonly handles: RiscvMachineHandles;
}

/**
 * Puts one hart together from what its thread was given, and runs it until it is told to end.
 * `tell`: the guest has powered off, reset or failed.
 */
export function runRiscvHart(
  { vcpu, handles }: HartWorkerData,
  tell: (event: BoardEvent) => void,
): void {
  const { description } = handles;
  const clock = systemClock();
  const memory = GuestMemory.attach(handles.memory);
  const control = new ControlBlock(handles.control);
  const steering = new VcpuControl(control, memory, clock);
  const missing = new MissingPages(control, vcpu, clock);
  // The machine has one block, and as many harts as vCPUs.
  const block = memory.blocks[0] as RamBlock;
  const harts = hartStates(memory, description.vcpuCount);
  const state = harts[vcpu] as HartState;
  const { deterministic, haltAt, tohost } = riscvConfig(description);
  const { layout } = block;

  const configure = ({ activeMap, postcopy }: MmuSettings): void => {
    program.hartSelectMap(dirtyMapAddress(layout, vcpu, activeMap));
    program.hartPostcopy(postcopy ? 1 : 0);
  };
  const safepoint = new Safepoint({ block: control, memory, vcpu, clock, configure });
  const program: HartModule = instantiateHart(block.memory, {
    pageMissing: (pfn) => Number(runToSafepoint(() => missing.wait(block, pfn))),
    mmioExists: (address, bytes) => Number(board.mmioExists(address, bytes)),
    mmioRead: (address, bytes) => board.mmioRead(address, bytes),
    mmioWrite: (address, bytes, value) => board.mmioWrite(address, bytes, value),
    sbiCall: () => (callFirmware(board, caller, program) ? 0 : 1),
    timeNow: () => safepoint.guestClock.nowMs() * TICKS_PER_MS,
  });
  const caller = sbiHart(vcpu, state);
  const ram = new HartRam({
    ...{ vcpu, memory, control: steering, missing },
    codeWritten: (pfn) => program.hartCodeWritten(pfn),
  });
  const output = new SerialRing(handles.serialOutput);
  const board = new Board({
    block: new BoardBlock(handles.board),
    config: boardConfig(description),
    input: new SerialRing(handles.serialInput),
    // How fast somebody reads must not change a run that is to be repeated.
    output: deterministic ? lossyOutput(output) : output,
    mips: harts.map(({ pending }) => pending),
    // One worker polls; the others need no disks.
    drives: vcpu === 0 ? openDrives(handles) : new Map(),
    ram,
    wake: () => steering.wake(),
    wallClock: boardWallClock(deterministic),
    onEvent: (event) => {
      program.hartRequestStop();
      tell(event);
    },
  });
  program.hartConfigure(
    layout.machineArea + vcpu * HART_AREA_BYTES,
    layout.ram,
    layout.pageCount,
    layout.receivedMap,
  );
  const loads = new Int32Array(handles.loads);
  let seenLoads = 0;
  const devices = {
    poll: () => {
      if (vcpu !== 0) return;
      if (tohost !== 0) heedTohost(ram, tohost, board);
      board.poll();
    },
    get hasPendingWork() {
      return vcpu === 0 && board.hasPendingWork;
    },
    get alarmInMs() {
      return vcpu === 0 ? board.alarmInMs : Number.POSITIVE_INFINITY;
    },
    get isOff() {
      return board.event !== undefined;
    },
  };
  const refresh = () => {
    // Pairs with the add in AttachedRiscv.noteLoad().
    const now = Atomics.load(loads, 0);
    if (now !== seenLoads) program.hartFlush();
    seenLoads = now;
  };
  runHart({
    ...{ program, state, devices, safepoint, missing, clock, deterministic, haltAt, refresh },
  });
}

/** A bare-metal program ends by a word in its RAM: 1 is a success, other odd ones say why not. */
function heedTohost(ram: HartRam, tohost: number, board: Board): void {
  const bytes = ram.read(tohost, 8);
  const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getUint32(0, true);
  if (value === 0 || value % 2 === 0) return;
  const code = (value >>> 1) & 0xffff;
  board.mmioWrite(FINISHER.base, 4, value === 1 ? FINISHER_PASS : FINISHER_FAIL | (code << 16));
}

/** False: interrupted, or without room for its output; the call is made again. */
function callFirmware(board: Board, caller: SbiHart, program: HartModule): boolean {
  let isDone = false;
  const ran = runToSafepoint(() => {
    const outcome = board.sbi(caller);
    if (outcome === 'flush') {
      program.hartFlushTranslations();
      program.hartFlushCode();
    }
    isDone = outcome !== 'retry';
  });
  return ran && isDone;
}

function sbiHart(hart: number, state: HartState): SbiHart {
  return {
    hart,
    argument: (index) => state.register(10 + index),
    setArgument: (index, value) => state.setRegister(10 + index, value),
    setTimer: (ticks) => state.setTimer(ticks),
  };
}

function openDrives({ drives }: RiscvMachineHandles): Map<number, Drive> {
  return new Map(
    drives.map((spec, index) => [
      FIRST_DRIVE_SLOT + index,
      FileDrive.open(spec, (message) => process.emitWarning(message)),
    ]),
  );
}
