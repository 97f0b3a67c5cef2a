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
import {
  ADD, ADDI, ADDIW, ADDW, AND, ANDI, ATOMIC, AUIPC, BEQ, BEQ_FAR, BGE, BGEU, BGEU_FAR, BGE_FAR, BLT,
  BLTU, BLTU_FAR, BLT_FAR, BNE, BNE_FAR, CROSSING, DIV, DIVU, DIVUW, DIVW, END_OF_PAGE, FADD_D,
  FENCE, FENCE_I, FLD, FLOAT, FLW, FMADD_D, FMUL_D, FSD, FSUB_D, FSW, JAL, JALR, JAL_FAR, LB, LBU,
  LD, LH, LHU, LI, LW, LWU, MUL, MULH, MULHSU, MULHU, MULW, NOP, OR, ORI, REM, REMU, REMUW, REMW, SB,
  SD, SH, SLL, SLLI, SLLIW, SLLW, SLT, SLTI, SLTIU, SLTU, SRA, SRAI, SRAIW, SRAW, SRL, SRLI, SRLIW,
  SRLW, SUB, SUBW, SW, SYSTEM, UNDECODED, XOR, XORI,
} from '../decode/opcodes';
import {
  CROSSING_SLOT, FCSR, FETCH_TLB, MIP, PC, READ_TLB, STEPS, WAITING, WRITE_TLB, X_REGISTERS,
  X_SINK,
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
import { computeDouble, executeFloat } from './float-instructions';
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
        case UNDECODED: {
          decodeSlot(decoded, at);
          ip = at;
          left++;
          continue;
        }
        case LI: store<i64>(rd, immediate(at)); continue;
        case AUIPC: store<u64>(rd, base + ((at - decoded) >> 2) + immediate(at)); continue;
        case JAL: {
          store<u64>(rd, base + ((ip - decoded) >> 2));
          ip = at + load<i32>(at, 4);
          continue;
        }
        case BEQ: if (load<u64>(rs1) == load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case BNE: if (load<u64>(rs1) != load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case BLT: if (load<i64>(rs1) < load<i64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case BGE: if (load<i64>(rs1) >= load<i64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case BLTU: if (load<u64>(rs1) < load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        case BGEU: if (load<u64>(rs1) >= load<u64>(rs2)) ip = at + load<i32>(at, 4); continue;
        // The far ones break out of the switch, which jumps.
        case BEQ_FAR: if (load<u64>(rs1) != load<u64>(rs2)) continue; break;
        case BNE_FAR: if (load<u64>(rs1) == load<u64>(rs2)) continue; break;
        case BLT_FAR: if (load<i64>(rs1) >= load<i64>(rs2)) continue; break;
        case BGE_FAR: if (load<i64>(rs1) < load<i64>(rs2)) continue; break;
        case BLTU_FAR: if (load<u64>(rs1) >= load<u64>(rs2)) continue; break;
        case BGEU_FAR: if (load<u64>(rs1) < load<u64>(rs2)) continue; break;
        case JAL_FAR: store<u64>(rd, base + ((ip - decoded) >> 2)); break;
        case END_OF_PAGE: left++; break;
        case JALR: {
          pc = (load<u64>(rs1) + immediate(at)) & ~<u64>1;
          store<u64>(rd, base + ((ip - decoded) >> 2));
          event = JUMP;
          break;
        }
        case CROSSING: {
          event = decodeCrossing(decoded, base + PAGE_BYTES);
          if (event != DONE) break;
          left++;
          // As if the slot stood at the end of a page.
          ip = hart + CROSSING_SLOT;
          decoded = ip - (SLOTS_BYTES - 8);
          continue;
        }
        case LB: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 1)) {
            store<i64>(rd, load<i8>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LB, address, rd);
          break;
        }
        case LBU: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 1)) {
            store<u64>(rd, load<u8>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LBU, address, rd);
          break;
        }
        case LH: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 2)) {
            store<i64>(rd, load<i16>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LH, address, rd);
          break;
        }
        case LHU: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 2)) {
            store<u64>(rd, load<u16>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LHU, address, rd);
          break;
        }
        case LW: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 4)) {
            store<i64>(rd, load<i32>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LW, address, rd);
          break;
        }
        case LWU: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 4)) {
            store<u64>(rd, load<u32>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LWU, address, rd);
          break;
        }
        case LD: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = readTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 8)) {
            store<u64>(rd, load<u64>(placeOf(entry, address)));
            continue;
          }
          event = loadRegister(LD, address, rd);
          break;
        }
        case SB: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 1)) {
            store<u8>(placeOf(entry, address), load<u8>(rs2));
            continue;
          }
          event = storeRegister(address, 1, load<u64>(rs2));
          break;
        }
        case SH: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 2)) {
            store<u16>(placeOf(entry, address), load<u16>(rs2));
            continue;
          }
          event = storeRegister(address, 2, load<u64>(rs2));
          break;
        }
        case SW: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 4)) {
            store<u32>(placeOf(entry, address), load<u32>(rs2));
            continue;
          }
          event = storeRegister(address, 4, load<u64>(rs2));
          break;
        }
        case SD: {
          const address = load<u64>(rs1) + immediate(at);
          const entry = writeTlb + entryOffset(address);
          if (load<u64>(entry) == tagFor(address, 8)) {
            store<u64>(placeOf(entry, address), load<u64>(rs2));
            continue;
          }
          event = storeRegister(address, 8, load<u64>(rs2));
          break;
        }
        case ADDI: store<i64>(rd, load<i64>(rs1) + immediate(at)); continue;
        case SLTI: store<u64>(rd, <u64>(load<i64>(rs1) < immediate(at))); continue;
        case SLTIU: store<u64>(rd, <u64>(load<u64>(rs1) < <u64>immediate(at))); continue;
        case XORI: store<i64>(rd, load<i64>(rs1) ^ immediate(at)); continue;
        case ORI: store<i64>(rd, load<i64>(rs1) | immediate(at)); continue;
        case ANDI: store<i64>(rd, load<i64>(rs1) & immediate(at)); continue;
        case SLLI: store<u64>(rd, load<u64>(rs1) << <u64>load<u32>(at, 4)); continue;
        case SRLI: store<u64>(rd, load<u64>(rs1) >> <u64>load<u32>(at, 4)); continue;
        case SRAI: store<i64>(rd, load<i64>(rs1) >> <i64>load<u32>(at, 4)); continue;
        case ADDIW: store<i64>(rd, <i64><i32>(word(rs1) + word(at + 4))); continue;
        case SLLIW: store<i64>(rd, <i64><i32>(word(rs1) << word(at + 4))); continue;
        case SRLIW: store<i64>(rd, <i64><i32>(<u32>word(rs1) >> word(at + 4))); continue;
        case SRAIW: store<i64>(rd, <i64><i32>(word(rs1) >> word(at + 4))); continue;
        case ADD: store<u64>(rd, load<u64>(rs1) + load<u64>(rs2)); continue;
        case SUB: store<u64>(rd, load<u64>(rs1) - load<u64>(rs2)); continue;
        case SLL: store<u64>(rd, load<u64>(rs1) << (load<u64>(rs2) & 63)); continue;
        case SLT: store<u64>(rd, <u64>(load<i64>(rs1) < load<i64>(rs2))); continue;
        case SLTU: store<u64>(rd, <u64>(load<u64>(rs1) < load<u64>(rs2))); continue;
        case XOR: store<u64>(rd, load<u64>(rs1) ^ load<u64>(rs2)); continue;
        case SRL: store<u64>(rd, load<u64>(rs1) >> (load<u64>(rs2) & 63)); continue;
        case SRA: store<i64>(rd, load<i64>(rs1) >> (load<i64>(rs2) & 63)); continue;
        case OR: store<u64>(rd, load<u64>(rs1) | load<u64>(rs2)); continue;
        case AND: store<u64>(rd, load<u64>(rs1) & load<u64>(rs2)); continue;
        case ADDW: store<i64>(rd, <i64><i32>(word(rs1) + word(rs2))); continue;
        case SUBW: store<i64>(rd, <i64><i32>(word(rs1) - word(rs2))); continue;
        case SLLW: store<i64>(rd, <i64><i32>(word(rs1) << (word(rs2) & 31))); continue;
        case SRLW: store<i64>(rd, <i64><i32>(<u32>word(rs1) >> (word(rs2) & 31))); continue;
        case SRAW: store<i64>(rd, <i64><i32>(word(rs1) >> (word(rs2) & 31))); continue;
        case MUL: store<u64>(rd, load<u64>(rs1) * load<u64>(rs2)); continue;
        case MULH: store<u64>(rd, multiplyHighSigned(load<u64>(rs1), load<u64>(rs2))); continue;
        case MULHSU: store<u64>(rd, multiplyHighMixed(load<u64>(rs1), load<u64>(rs2))); continue;
        case MULHU: store<u64>(rd, multiplyHigh(load<u64>(rs1), load<u64>(rs2))); continue;
        case DIV: store<i64>(rd, divide(load<i64>(rs1), load<i64>(rs2))); continue;
        case DIVU: store<u64>(rd, divideUnsigned(load<u64>(rs1), load<u64>(rs2))); continue;
        case REM: store<i64>(rd, remainder(load<i64>(rs1), load<i64>(rs2))); continue;
        case REMU: store<u64>(rd, remainderUnsigned(load<u64>(rs1), load<u64>(rs2))); continue;
        case MULW: store<i64>(rd, <i64><i32>(word(rs1) * word(rs2))); continue;
        case DIVW: store<i64>(rd, <i64>divideWord(word(rs1), word(rs2))); continue;
        case DIVUW: store<i64>(rd, <i64>divideWordUnsigned(<u32>word(rs1), <u32>word(rs2))); continue;
        case REMW: store<i64>(rd, <i64>remainderWord(word(rs1), word(rs2))); continue;
        case REMUW: store<i64>(rd, <i64>remainderWordUnsigned(<u32>word(rs1), <u32>word(rs2))); continue;
        case NOP: continue;
        case FENCE: orderAccesses(); continue;
        case FENCE_I: event = fenceCode(); break;
        case SYSTEM: {
          // Counters and time are those before this instruction.
          store<u64>(hart + STEPS, firstStep + <u64>(budget - left - 1));
          event = executeSystem(load<u32>(at, 4), base + ((at - decoded) >> 2));
          if (event == DONE) continue;
          break;
        }
        case ATOMIC: {
          event = executeAtomic(load<u32>(at, 4));
          if (event == DONE) continue;
          break;
        }
        case FLOAT: {
          event = executeFloat(load<u32>(at, 4));
          if (event == DONE) continue;
          break;
        }
        case FLW: event = loadFloat(FLW, load<u64>(rs1) + immediate(at), readTlb, rd); break;
        case FLD: event = loadFloat(FLD, load<u64>(rs1) + immediate(at), readTlb, rd); break;
        case FSW: event = storeFloat(load<u64>(rs1) + immediate(at), 4, writeTlb, rs2); break;
        case FSD: event = storeFloat(load<u64>(rs1) + immediate(at), 8, writeTlb, rs2); break;
        case FADD_D:
        case FSUB_D:
        case FMUL_D:
        case FMADD_D: {
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
      if (left == 0 || load<u64>(entry) != (pc & ~<u64>0xfff)) break;
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
