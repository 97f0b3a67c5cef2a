import { SternaError } from '../../base/index.ts';
import type { GuestClock, MachineState, MachineStateSection } from '../../guestmem/index.ts';
import type { Board } from './board/board.ts';
import { type HartState, refuseHartState } from './hart-state.ts';

/** The parts of a machine that cross beside its RAM. */
export interface RiscvStateful {
  readonly harts: readonly HartState[];
  readonly deterministic: boolean;
  readonly guestClock: GuestClock;
  readonly board: Board;
}

const VERSION = 1;
const CLOCK_BYTES = 8;

/** `hart-N` for each hart, `clock` (i64 nanoseconds of guest time), and the board's sections. */
export function saveRiscv({ harts, guestClock, board }: RiscvStateful): MachineState {
  const clock = new DataView(new ArrayBuffer(CLOCK_BYTES));
  clock.setBigInt64(0, guestClock.nowNs(), true);
  return {
    sections: [
      ...harts.map((hart, index) => section(`hart-${index}`, hart.save())),
      section('clock', new Uint8Array(clock.buffer)),
      ...board.save(),
    ],
  };
}

/** Takes a state over, all or nothing: it came from a peer. Throws E_MACHINE_STATE. */
export function loadRiscv(parts: RiscvStateful, state: MachineState): void {
  const { harts, deterministic, guestClock, board } = parts;
  const own = new Map<string, Uint8Array>();
  const others: MachineStateSection[] = [];
  for (const each of state.sections) {
    const { name, version, bytes } = each;
    if (name !== 'clock' && !name.startsWith('hart-')) {
      others.push(each);
      continue;
    }
    if (own.has(name)) throw refused(`Section ${name} comes twice`);
    if (version !== VERSION) {
      throw refused(`Section ${name} has version ${version}, not ${VERSION}`);
    }
    own.set(name, bytes);
  }
  const guestNs = clockOf(own.get('clock'));
  if (own.size !== harts.length + 1) {
    throw refused(`The state has ${own.size - 1} harts, this machine ${harts.length}`);
  }
  const incoming = harts.map((_, hart) => {
    const bytes = own.get(`hart-${hart}`);
    if (bytes === undefined) throw refused(`Section hart-${hart} is missing`);
    const defect = refuseHartState(bytes, { hart, deterministic });
    if (defect !== undefined) throw refused(`Section hart-${hart} ${defect}`);
    return bytes;
  });
  const before = harts.map((hart) => hart.save());
  for (const [index, hart] of harts.entries()) hart.load(incoming[index] ?? hart.save());
  try {
    // Last, because it makes the interrupt lines of the harts what the devices say.
    board.load(others);
  } catch (error) {
    for (const [index, hart] of harts.entries()) hart.load(before[index] ?? hart.save());
    throw error;
  }
  guestClock.set(guestNs);
}

function clockOf(bytes: Uint8Array | undefined): bigint {
  if (bytes?.length !== CLOCK_BYTES) throw refused('Section clock is missing or damaged');
  const ns = new DataView(bytes.buffer, bytes.byteOffset, CLOCK_BYTES).getBigInt64(0, true);
  if (ns < 0n || ns >= 2n ** 62n) throw refused('The guest clock is out of range');
  return ns;
}

function section(name: string, bytes: Uint8Array): MachineStateSection {
  return { name, version: VERSION, bytes };
}

function refused(message: string): SternaError {
  return new SternaError('E_MACHINE_STATE', message);
}
