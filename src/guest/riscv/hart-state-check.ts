import * as layout from './hart/hart-layout.ts';

/** Words that hold only some bits: name, offset, the bits. */
const MASKED: readonly (readonly [string, number, bigint])[] = [
  ['mip', layout.MIP, 0xaaan],
  ['fcsr', layout.FCSR, 0xffn],
  ['mstatus', layout.MSTATUS, 0x8000_000a_007e_79aan],
  ['medeleg', layout.MEDELEG, 0xb3ffn],
  ['mideleg', layout.MIDELEG, 0x222n],
  ['mie', layout.MIE, 0xaaan],
  ['mcounteren', layout.MCOUNTEREN, 0xffff_ffffn],
  ['mcountinhibit', layout.MCOUNTINHIBIT, 5n],
  ['menvcfg', layout.MENVCFG, 0x8000_0000_0000_0001n],
  ['scounteren', layout.SCOUNTEREN, 0xffff_ffffn],
  ['senvcfg', layout.SENVCFG, 1n],
];
const U32_WORDS: ReadonlySet<number> = new Set([layout.MIP, layout.FCSR]);

/** What a word of 32 bits may be. */
const CHOICES: readonly (readonly [string, number, readonly number[]])[] = [
  ['privilege', layout.PRIVILEGE, [0, 1, 3]],
  ['waiting', layout.WAITING, [0, 1]],
  ['reservation width', layout.RESERVATION_BYTES, [0, 4, 8]],
  ['SBI', layout.SBI_ENABLED, [0, 1]],
  ['deterministic', layout.DETERMINISTIC, [0, 1]],
];

/** Addresses whose low bits are zero: name, offset, those bits. */
const ALIGNED: readonly (readonly [string, number, bigint])[] = [
  ['pc', layout.PC, 1n],
  ['mepc', layout.MEPC, 1n],
  ['sepc', layout.SEPC, 1n],
  ['mtvec', layout.MTVEC, 2n],
  ['stvec', layout.STVEC, 2n],
];

const PMP_ENTRIES = 16;
const PMP_ADDRESS_MAX = 0x3f_ffff_ffff_ffffn;
const SV39 = 8n;

/**
 * What is wrong with a hart's state that comes from elsewhere, or undefined: nothing that the hart
 * itself could not have left.
 */
export function hartStateFault(state: Uint8Array): string | undefined {
  if (state.length !== layout.STATE_BYTES) return `It has ${state.length} bytes`;
  const view = new DataView(state.buffer, state.byteOffset, state.length);
  const u64 = (offset: number) => view.getBigUint64(offset, true);
  const word = (offset: number) =>
    U32_WORDS.has(offset) ? BigInt(view.getUint32(offset, true)) : u64(offset);
  if (u64(layout.X_REGISTERS) !== 0n) return 'x0 is not zero';
  const masked = MASKED.find(([, offset, bits]) => (word(offset) & ~bits) !== 0n);
  if (masked !== undefined) return `${masked[0]} has bits that it cannot have`;
  const choice = CHOICES.find(
    ([, offset, values]) => !values.includes(view.getUint32(offset, true)),
  );
  if (choice !== undefined) return `${choice[0]} is ${view.getUint32(choice[1], true)}`;
  const aligned = ALIGNED.find(([, offset, bits]) => (u64(offset) & bits) !== 0n);
  if (aligned !== undefined) return `${aligned[0]} is misaligned`;
  const status = u64(layout.MSTATUS);
  if (((status >> 11n) & 3n) === 2n) return 'mstatus.MPP is 2';
  if (status >> 63n !== (((status >> 13n) & 3n) === 3n ? 1n : 0n)) return 'mstatus.SD is wrong';
  const mode = u64(layout.SATP) >> 60n;
  if (mode !== 0n && mode !== SV39) return `satp has mode ${mode}`;
  return pmpFault(view) ?? restFault(state);
}

function pmpFault(view: DataView): string | undefined {
  for (let entry = 0; entry < PMP_ENTRIES; entry += 1) {
    const config = view.getUint8(layout.PMPCFG + entry);
    const isWriteOnly = (config & 3) === 2;
    const isFourBytes = (config & 0x18) === 0x10;
    if ((config & 0x60) !== 0 || isWriteOnly || isFourBytes)
      return `pmpcfg of ${entry} is ${config}`;
    if (view.getBigUint64(layout.PMPADDR + entry * 8, true) > PMP_ADDRESS_MAX) {
      return `pmpaddr${entry} is out of range`;
    }
  }
  return undefined;
}

/** Where something is, with its end: all else is zero. */
const USED: readonly (readonly [number, number])[] = [
  [layout.X_REGISTERS, layout.X_REGISTERS + 32 * 8],
  [layout.F_REGISTERS, layout.F_REGISTERS + 32 * 8],
  [layout.PC, layout.RESERVATION_BYTES + 4],
  [layout.RESERVATION_ADDRESS, layout.RESERVATION_VALUE + 8],
  [layout.MIP, layout.TIME_BASE + 8],
  [layout.MSTATUS, layout.MINSTRET_OFFSET + 8],
  [layout.PMPCFG, layout.PMPADDR + PMP_ENTRIES * 8],
];

function restFault(state: Uint8Array): string | undefined {
  const rest = state.findIndex(
    (byte, offset) => byte !== 0 && !USED.some(([from, to]) => offset >= from && offset < to),
  );
  return rest < 0 ? undefined : `There is something at ${rest}, where nothing is`;
}
