// The interpreter: one loop over decoded slots, one switch over operations.
//
// What the loop holds in locals is true while it stays in code that the TLB for fetches knows and
// nothing happens that could change what is permitted, mapped or pending: the decoded page and
// where it is mapped, and the TLBs of the mode. Every event leaves it, and `hartRun` begins anew.
import { floatFlags } from '../../float/float';
import {
  CAUSE_ILLEGAL, DONE, FLOAT_OFF, hart, INTERRUPTED, JUMP, NEXT, PAGE_BYTES, raise, SYNCHRONISE, TRAP, trapCause,
  trapValue,
} from '../context';
import * as op from '../decode/opcodes';
import {
  CROSSING_SLOT, FCSR, FETCH_TLB, F_REGISTERS, MIP, PC, READ_TLB, STEPS, WAITING, WRITE_TLB,
  X_REGISTERS, X_SINK,
} from '../hart-layout';
import { executeAtomic } from '../memory/atomics';
import {
  decodeCrossing, decodeSlot, dropWrittenCode, fetched, fetchPage, instructionAt, SLOTS_BYTES,
} from '../memory/code-pages';
import { dataMode, entryOffset, fetchMode, tlbOf } from '../memory/tlb';
import { executeSystem, isReturn, takeReturn } from '../privileged/system';
import {
  isAnyPending, NO_INTERRUPT, pendingInterrupt, takeException, takeInterrupt,
} from '../privileged/trap';
import {
  divide, divideUnsigned, divideWord, divideWordUnsigned, remainder, remainderUnsigned,
  remainderWord, remainderWordUnsigned,
} from './divide';
import { computeDouble, executeFloat, isFloatDirty } from './float-instructions';
import { loadFloat, storeFloat } from './float-memory';
import { loadRegister, placeOf, storeRegister, tagFor } from './register-memory';
import { multiplyHigh, multiplyHighMixed, multiplyHighSigned } from './wide-multiply';

const STOP_BUDGET: i32 = 0;
const STOP_WAITING: i32 = 1;
const STOP_INTERRUPTED: i32 = 2;
const STOP_ASKED: i32 = 3;

let stopReason: i32 = STOP_BUDGET;
let isStopAsked: bool = false;

export function hartStopReason(): i32 { return stopReason; }

// Asked by the host inside of an access to a device or a call to the SBI.
export function hartRequestStop(): void { isStopAsked = true; }

// Of the instruction in a slot: its immediate, sign-extended.
@inline function immediate(at: usize): i64 { return load<i32>(at, 4); }
@inline function word(register: usize): i32 { return load<i32>(register); }

// Executes `budget` instructions, those that trap included, or fewer when `hartStopReason` says
// why. Returns how many.
export function hartRun(budget: i32): i32 {
  const registers = hart + X_REGISTERS;
  const firstStep = load<u64>(hart + STEPS);
  floatFlags = load<u32>(hart + FCSR) & 31;
  stopReason = STOP_BUDGET;
  let left = budget;
  let pc = load<u64>(hart + PC);
  while (left > 0) {
    if (isStopAsked) break;
    if (isAnyPending()) {
      store<u32>(hart + WAITING, 0);
      const interrupt = pendingInterrupt();
      if (interrupt != NO_INTERRUPT) pc = takeInterrupt(pc, interrupt);
    } else if (load<u32>(hart + WAITING) != 0) {
      stopReason = STOP_WAITING;
      break;
    }
    let event = fetchPage(pc);
    if (event == INTERRUPTED) {
      stopReason = STOP_INTERRUPTED;
      break;
    }
    if (event == TRAP) {
      left--;
      pc = takeException(pc, trapCause, trapValue);
      continue;
    }
    const mode = dataMode();
    const readTlb = tlbOf(READ_TLB, mode);
    const writeTlb = tlbOf(WRITE_TLB, mode);
    const fetchTlb = tlbOf(FETCH_TLB, fetchMode());
    let base = pc & ~<u64>0xfff;
    let decoded = <usize>load<u32>(fetched, 8);
    let ip = decoded + ((<u32>pc & 0xfff) << 2);
    for (;;) {
      if (--left < 0) {
        left = 0;
        pc = base + ((ip - decoded) >> 2);
        break;
      }
      const low = load<u32>(ip);
      const at = ip;
      const rd = registers + ((low >> 7) & 0x1f8);
      const rs1 = registers + ((low >> 16) & 0xff);
      const rs2 = registers + (low >> 24);
      ip += (low >> 5) & 0x18;
      switch (low & 0xff) {
        case op.UNDECODED: {
          decodeSlot(decoded, at);
          ip = at;
          left++;
          continue;
        }
        case op.LI: store<i64>(rd, immediate(at)); continue;
        case op.AUIPC: store<u64>(rd, base + ((at - decoded) >> 2) + immediate(at)); continue;
        case op.JAL: {
          store<u64>(rd, base + ((ip - decoded) >> 2));
          ip = at + load<i32>(at, 4);
          continue;
        }
        case op.BEQ: if (load<u64>(rs1) == load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case op.BNE: if (load<u64>(rs1) != load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case op.BLT: if (load<i64>(rs1) < load<i64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case op.BGE: if (load<i64>(rs1) >= load<i64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case op.BLTU: if (load<u64>(rs1) < load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case op.BGEU: if (load<u64>(rs1) >= load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        // The far ones break out of the switch, which jumps.
        case op.BEQ_FAR: if (load<u64>(rs1) != load<u64>(rs2)) continue; break;
        case op.BNE_FAR: if (load<u64>(rs1) == load<u64>(rs2)) continue; break;
        case op.BLT_FAR: if (load<i64>(rs1) >= load<i64>(rs2)) continue; break;
        case op.BGE_FAR: if (load<i64>(rs1) < load<i64>(rs2)) continue; break;
        case op.BLTU_FAR: if (load<u64>(rs1) >= load<u64>(rs2)) continue; break;
        case op.BGEU_FAR: if (load<u64>(rs1) < load<u64>(rs2)) continue; break;
        case op.JAL_FAR: store<u64>(rd, base + ((ip - decoded) >> 2)); break;
        case op.END_OF_PAGE: left++; break;
        case op.JALR: {
          pc = (load<u64>(rs1) + immediate(at)) & ~<u64>1;
          store<u64>(rd, base + ((ip - decoded) >> 2));
          event = JUMP;
          break;
        }
        case op.CROSSING: {
          event = decodeCrossing(decoded, base + PAGE_BYTES);
          if (event != DONE) break;
          left++;
          // As if the slot stood at the end of a page.
          ip = hart + CROSSING_SLOT;
          decoded = ip - (SLOTS_BYTES - 8);
          continue;
        }
        case op.LB: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 1)) {
            store<i64>(rd, load<i8>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LB, address, rd);
          break;
        }
        case op.LBU: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 1)) {
            store<u64>(rd, load<u8>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LBU, address, rd);
          break;
        }
        case op.LH: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 2)) {
            store<i64>(rd, load<i16>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LH, address, rd);
          break;
        }
        case op.LHU: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 2)) {
            store<u64>(rd, load<u16>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LHU, address, rd);
          break;
        }
        case op.LW: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 4)) {
            store<i64>(rd, load<i32>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LW, address, rd);
          break;
        }
        case op.LWU: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 4)) {
            store<u64>(rd, load<u32>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LWU, address, rd);
          break;
        }
        case op.LD: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 8)) {
            store<u64>(rd, load<u64>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(op.LD, address, rd);
          break;
        }
        case op.SB: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 1)) {
            store<u8>(placeOf(entry, address), load<u8>(rs2));
            continue;
          }
          event = storeRegister(address, 1, load<u64>(rs2));
          break;
        }
        case op.SH: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 2)) {
            store<u16>(placeOf(entry, address), load<u16>(rs2));
            continue;
          }
          event = storeRegister(address, 2, load<u64>(rs2));
          break;
        }
        case op.SW: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 4)) {
            store<u32>(placeOf(entry, address), load<u32>(rs2));
            continue;
          }
          event = storeRegister(address, 4, load<u64>(rs2));
          break;
        }
        case op.SD: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 8)) {
            store<u64>(placeOf(entry, address), load<u64>(rs2));
            continue;
          }
          event = storeRegister(address, 8, load<u64>(rs2));
          break;
        }
        case op.ADDI: store<i64>(rd, load<i64>(rs1) + immediate(at)); continue;
        case op.SLTI: store<u64>(rd, <u64>(load<i64>(rs1) < immediate(at))); continue;
        case op.SLTIU: store<u64>(rd, <u64>(load<u64>(rs1) < <u64>immediate(at))); continue;
        case op.XORI: store<i64>(rd, load<i64>(rs1) ^ immediate(at)); continue;
        case op.ORI: store<i64>(rd, load<i64>(rs1) | immediate(at)); continue;
        case op.ANDI: store<i64>(rd, load<i64>(rs1) & immediate(at)); continue;
        case op.SLLI: store<u64>(rd, load<u64>(rs1) << <u64>load<u32>(at, 4)); continue;
        case op.SRLI: store<u64>(rd, load<u64>(rs1) >> <u64>load<u32>(at, 4)); continue;
        case op.SRAI: store<i64>(rd, load<i64>(rs1) >> <i64>load<u32>(at, 4)); continue;
        case op.ADDIW: store<i64>(rd, <i64><i32>(word(rs1) + word(at + 4))); continue;
        case op.SLLIW: store<i64>(rd, <i64><i32>(word(rs1) << word(at + 4))); continue;
        case op.SRLIW: store<i64>(rd, <i64><i32>(<u32>word(rs1) >> word(at + 4))); continue;
        case op.SRAIW: store<i64>(rd, <i64><i32>(word(rs1) >> word(at + 4))); continue;
        case op.ADD: store<u64>(rd, load<u64>(rs1) + load<u64>(rs2)); continue;
        case op.SUB: store<u64>(rd, load<u64>(rs1) - load<u64>(rs2)); continue;
        case op.SLL: store<u64>(rd, load<u64>(rs1) << (load<u64>(rs2) & 63)); continue;
        case op.SLT: store<u64>(rd, <u64>(load<i64>(rs1) < load<i64>(rs2))); continue;
        case op.SLTU: store<u64>(rd, <u64>(load<u64>(rs1) < load<u64>(rs2))); continue;
        case op.XOR: store<u64>(rd, load<u64>(rs1) ^ load<u64>(rs2)); continue;
        case op.SRL: store<u64>(rd, load<u64>(rs1) >> (load<u64>(rs2) & 63)); continue;
        case op.SRA: store<i64>(rd, load<i64>(rs1) >> (load<i64>(rs2) & 63)); continue;
        case op.OR: store<u64>(rd, load<u64>(rs1) | load<u64>(rs2)); continue;
        case op.AND: store<u64>(rd, load<u64>(rs1) & load<u64>(rs2)); continue;
        case op.ADDW: store<i64>(rd, <i64><i32>(word(rs1) + word(rs2))); continue;
        case op.SUBW: store<i64>(rd, <i64><i32>(word(rs1) - word(rs2))); continue;
        case op.SLLW: store<i64>(rd, <i64><i32>(word(rs1) << (word(rs2) & 31))); continue;
        case op.SRLW: store<i64>(rd, <i64><i32>(<u32>word(rs1) >> (word(rs2) & 31))); continue;
        case op.SRAW: store<i64>(rd, <i64><i32>(word(rs1) >> (word(rs2) & 31))); continue;
        case op.MUL: store<u64>(rd, load<u64>(rs1) * load<u64>(rs2)); continue;
        case op.MULH: store<u64>(rd, multiplyHighSigned(load<u64>(rs1), load<u64>(rs2))); continue;
        case op.MULHSU: store<u64>(rd, multiplyHighMixed(load<u64>(rs1), load<u64>(rs2))); continue;
        case op.MULHU: store<u64>(rd, multiplyHigh(load<u64>(rs1), load<u64>(rs2))); continue;
        case op.DIV: store<i64>(rd, divide(load<i64>(rs1), load<i64>(rs2))); continue;
        case op.DIVU: store<u64>(rd, divideUnsigned(load<u64>(rs1), load<u64>(rs2))); continue;
        case op.REM: store<i64>(rd, remainder(load<i64>(rs1), load<i64>(rs2))); continue;
        case op.REMU: store<u64>(rd, remainderUnsigned(load<u64>(rs1), load<u64>(rs2))); continue;
        case op.MULW: store<i64>(rd, <i64><i32>(word(rs1) * word(rs2))); continue;
        case op.DIVW: store<i64>(rd, <i64>divideWord(word(rs1), word(rs2))); continue;
        case op.DIVUW: store<i64>(rd, <i64>divideWordUnsigned(<u32>word(rs1), <u32>word(rs2))); continue;
        case op.REMW: store<i64>(rd, <i64>remainderWord(word(rs1), word(rs2))); continue;
        case op.REMUW: store<i64>(rd, <i64>remainderWordUnsigned(<u32>word(rs1), <u32>word(rs2))); continue;
        case op.NOP: continue;
        case op.FENCE: orderAccesses(); continue;
        case op.FENCE_I: event = fenceCode(); break;
        case op.SYSTEM: {
          // Counters and time are those before this instruction.
          store<u64>(hart + STEPS, firstStep + <u64>(budget - left - 1));
          event = executeSystem(load<u32>(at, 4), base + ((at - decoded) >> 2));
          if (event == DONE) continue;
          break;
        }
        case op.ATOMIC: {
          event = executeAtomic(load<u32>(at, 4));
          if (event == DONE) continue;
          break;
        }
        case op.FLOAT: {
          event = executeFloat(load<u32>(at, 4));
          if (event == DONE) continue;
          break;
        }
        case op.FLW: event = loadFloat(op.FLW, load<u64>(rs1) + immediate(at), readTlb, rd); break;
        case op.FLD: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (isFloatDirty() && load<u64>(entry) == tagFor(address, 8)) {
            store<u64>(rd, load<u64>(placeOf(entry, address)), F_REGISTERS);
            continue;
          }
          event = loadFloat(op.FLD, address, readTlb, rd);
          break;
        }
        case op.FSW: event = storeFloat(load<u64>(rs1) + immediate(at), 4, writeTlb, rs2); break;
        case op.FSD: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (isFloatDirty() && load<u64>(entry) == tagFor(address, 8)) {
            store<u64>(placeOf(entry, address), load<u64>(rs2, F_REGISTERS));
            continue;
          }
          event = storeFloat(address, 8, writeTlb, rs2);
          break;
        }
        case op.FADD_D:
        case op.FSUB_D:
        case op.FMUL_D:
        case op.FMADD_D: {
          if (computeDouble(low & 0xff, rd, rs1, rs2, load<u32>(at, 4))) continue;
          event = FLOAT_OFF;
          break;
        }
        // ILLEGAL, and there is nothing else.
        default: event = raise(CAUSE_ILLEGAL, load<u32>(at, 4));
      }
      if (event == NEXT) {
        event = DONE;
        continue;
      }
      // A far branch or jump, or the end of the page.
      if (event == DONE) pc = base + ((at - decoded) >> 2) + immediate(at);
      else if (event != JUMP) {
        if (event == FLOAT_OFF) event = raise(CAUSE_ILLEGAL, instructionAt(decoded, at));
        pc = base + (((event == SYNCHRONISE ? ip : at) - decoded) >> 2);
        break;
      }
      event = DONE;
      const entry = fetchTlb + entryOffset(pc);
      if (load<u64>(entry) != (pc & ~<u64>0xfff)) break;
      base = pc & ~<u64>0xfff;
      decoded = <usize>load<u32>(entry, 8);
      ip = decoded + ((<u32>pc & 0xfff) << 2);
    }
    if (event == TRAP) {
      pc = takeException(pc, trapCause, trapValue);
    } else if (event == INTERRUPTED) {
      left++;
      stopReason = STOP_INTERRUPTED;
      break;
    } else if (isReturn) {
      pc = takeReturn();
    }
  }
  if (isStopAsked) stopReason = STOP_ASKED;
  isStopAsked = false;
  store<u64>(hart + PC, pc);
  store<u64>(hart + STEPS, firstStep + <u64>(budget - left));
  store<u32>(hart + FCSR, (load<u32>(hart + FCSR) & 0xe0) | floatFlags);
  store<u64>(hart + X_SINK, 0);
  return budget - left;
}

// An atomic operation is a fence; nothing is changed by this one.
@inline function orderAccesses(): void {
  atomic.or<u32>(hart + MIP, 0);
}

function fenceCode(): u32 {
  dropWrittenCode();
  return SYNCHRONISE;
}
