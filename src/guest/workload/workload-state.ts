import { SternaError } from '../../base/index.ts';
import type {
  GuestClock,
  GuestMemory,
  MachineState,
  MachineStateSection,
} from '../../guestmem/index.ts';
import { CONSOLE_BYTES, type ConsoleDevice } from '../console-device.ts';
import { PHASE, REGISTER_BYTES, VcpuRegisters } from '../vcpu-registers.ts';
import { fillRange, hotPart, partOf } from './workload-ranges.ts';
import type { WorkloadSpec } from './workload-spec.ts';

/** The parts of a machine that cross beside its RAM. */
export interface StatefulParts {
  readonly spec: WorkloadSpec;
  readonly memory: GuestMemory;
  readonly registers: readonly VcpuRegisters[];
  readonly console: ConsoleDevice;
  readonly guestClock: GuestClock;
}

const SECTION_VERSION = 1;
const CLOCK_BYTES = 8;

/**
 * `vcpu` (the registers of all vCPUs in order), `clock` (i64 nanoseconds of guest time), `device`
 * (the console).
 */
export function saveState(parts: StatefulParts): MachineState {
  const clock = new DataView(new ArrayBuffer(CLOCK_BYTES));
  clock.setBigInt64(0, parts.guestClock.nowNs(), true);
  return {
    sections: [
      section('vcpu', Buffer.concat(parts.registers.map((registers) => registers.save()))),
      section('clock', new Uint8Array(clock.buffer)),
      section('device', parts.console.save()),
    ],
  };
}

/** Takes a state over, all or nothing: it came from a peer. Throws E_MACHINE_STATE. */
export function loadState(parts: StatefulParts, state: MachineState): void {
  const vcpuBytes = parts.registers.length * REGISTER_BYTES;
  // A map, because the names come from a peer and an object has names of its own.
  const sizes = new Map([
    ['vcpu', vcpuBytes],
    ['clock', CLOCK_BYTES],
    ['device', CONSOLE_BYTES],
  ]);
  const sections = new Map<string, Uint8Array>();
  for (const { name, version, bytes } of state.sections) {
    const size = sizes.get(name);
    if (size === undefined) throw refused(`Section ${JSON.stringify(name)} is unknown`);
    if (sections.has(name)) throw refused(`Section ${name} comes twice`);
    if (version !== SECTION_VERSION)
      throw refused(`Section ${name} has version ${version}, not ${SECTION_VERSION}`);
    if (bytes.length !== size)
      throw refused(`Section ${name} has ${bytes.length} bytes, not ${size}`);
    sections.set(name, bytes);
  }
  const vcpu = required(sections, 'vcpu');
  const clock = required(sections, 'clock');
  const device = required(sections, 'device');
  const guestNs = new DataView(clock.buffer, clock.byteOffset).getBigInt64(0, true);
  if (guestNs < 0n || guestNs >= 2n ** 62n) throw refused('The guest clock is out of range');
  // A copy: aligned, and out of reach of whoever sent it.
  const incoming = parts.registers.map((_, index) => {
    const registers = new VcpuRegisters(new ArrayBuffer(REGISTER_BYTES), 0);
    registers.load(vcpu.subarray(index * REGISTER_BYTES, (index + 1) * REGISTER_BYTES));
    return registers;
  });
  for (const [index, registers] of incoming.entries())
    checkRegisters(parts, index, registers, incoming);
  for (const [index, registers] of parts.registers.entries()) {
    const from = incoming[index];
    if (from !== undefined) registers.load(from.save());
  }
  parts.guestClock.set(guestNs);
  parts.console.load(device);
}

function checkRegisters(
  { spec, memory }: StatefulParts,
  vcpu: number,
  registers: VcpuRegisters,
  all: readonly VcpuRegisters[],
): void {
  const complain = (what: string) => refused(`vCPU ${vcpu} ${what}`);
  if (!registers.isWellFormed()) throw complain('has impossible counters');
  const { phase, nextPfn } = registers;
  const filling = partOf(fillRange(spec), vcpu, all.length);
  const hot = hotPart(spec, memory.pageCount, vcpu, all.length);
  if (phase === PHASE.filling || phase === PHASE.filled) {
    if (registers.writes + registers.reads > 0) throw complain('has run before it was booted');
    if (nextPfn > filling.first + filling.count) throw complain('boots outside its part of RAM');
  } else if (phase === PHASE.running) {
    if (all.some((other) => other.phase === PHASE.filling))
      throw complain('runs while another boots');
    const inside = nextPfn >= hot.first && nextPfn < hot.first + hot.count;
    if (hot.count > 0 && !inside) throw complain('goes on outside its part of RAM');
  } else {
    throw complain(`is in the unknown phase ${phase}`);
  }
  if (registers.random === 0) throw complain('has an impossible random state');
  if (!isTransactionPossible(spec, vcpu, registers, all.length))
    throw complain('works on an impossible transaction');
}

function isTransactionPossible(
  spec: WorkloadSpec,
  vcpu: number,
  { phase, transaction }: VcpuRegisters,
  vcpuCount: number,
): boolean {
  if (spec.kind !== 'erp' || phase !== PHASE.running) return transaction.isZero;
  const { isActive, session, accessesLeft } = transaction;
  const isOwn = session < spec.sessions && session % vcpuCount === vcpu;
  return !isActive || (isOwn && accessesLeft <= spec.updates);
}

function required(sections: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const bytes = sections.get(name);
  if (bytes === undefined) throw refused(`Section ${name} is missing`);
  return bytes;
}

function section(name: string, bytes: Uint8Array): MachineStateSection {
  return { name, version: SECTION_VERSION, bytes };
}

function refused(message: string): SternaError {
  return new SternaError('E_MACHINE_STATE', message);
}
