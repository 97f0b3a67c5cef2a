// Decoded code: for each page a slot for every halfword of it, decoded when it is first reached.
// The cache is found by the page's number in RAM, so code that is mapped twice is decoded once.
import {
  CAUSE_FETCH_ACCESS, DONE, FETCH, hart, inRam, PAGE_BYTES, pfnOf, raise, ram,
} from '../context';
import { decode } from '../decode/decode';
import { decodeCompressed } from '../decode/decode-compressed';
import { CROSSING, END_OF_PAGE } from '../decode/opcodes';
import { slot } from '../decode/slot';
import {
  CROSSING_SLOT, DECODE_CACHE, DECODE_PAGES, DECODE_PAGE_BYTES, DECODE_TAGS, FETCH_TLB,
} from '../hart-layout';
import { resetCodeWatch, takeWritten, unwatchCode, watchCode, wereTooManyWritten } from './code-watch';
import { isGlobal, level, physical, translate } from './page-walk';
import { dropFetches, entryOffset, fetchMode, fill, flushFetchTlb, tlbOf } from './tlb';

const SLOTS: u32 = 2048;
export const SLOTS_BYTES: u32 = SLOTS * 8;
// Behind the slots and two ends of page: u32, where the page is in this memory.
const PAGE_ADDRESS: usize = SLOTS_BYTES + 16;
// No target is near it.
const NOWHERE: i32 = 1 << 20;

// The entry of the TLB that the last fetch found.
export let fetched: usize = 0;

@inline function tagOf(pfn: u32): usize {
  return hart + DECODE_TAGS + ((pfn & (DECODE_PAGES - 1)) << 2);
}

@inline function decodedOf(pfn: u32): usize {
  return hart + DECODE_CACHE + <usize>(pfn & (DECODE_PAGES - 1)) * DECODE_PAGE_BYTES;
}

// Finds the decoded page of an address. DONE, TRAP or INTERRUPTED.
export function fetchPage(pc: u64): u32 {
  const mode = fetchMode();
  const entry = tlbOf(FETCH_TLB, mode) + entryOffset(pc);
  if (load<u64>(entry) != (pc & ~<u64>0xfff)) {
    const event = translate(pc, FETCH, mode);
    if (event != DONE) return event;
    if (!inRam(physical)) return raise(CAUSE_FETCH_ACCESS, pc);
    fill(FETCH_TLB, mode, pc, openCode(pfnOf(physical)), level, isGlobal);
  }
  fetched = entry;
  return DONE;
}

function openCode(pfn: u32): u32 {
  const tag = tagOf(pfn);
  const decoded = decodedOf(pfn);
  const held = load<u32>(tag);
  if (held != pfn + 1) {
    if (held != 0) {
      dropFetches(decoded);
      unwatchCode(held - 1);
    }
    memory.fill(decoded, 0, SLOTS_BYTES);
    const end = slot(END_OF_PAGE, 0, 0, 0, 0, 0);
    store<u64>(decoded + SLOTS_BYTES, end);
    store<u64>(decoded + SLOTS_BYTES + 8, end);
    store<u32>(decoded, ram + (pfn << 12), PAGE_ADDRESS);
    store<u32>(tag, pfn + 1);
  }
  watchCode(pfn);
  return <u32>decoded;
}

// Fills the slot at `ip` of a decoded page.
export function decodeSlot(decoded: usize, ip: usize): void {
  const index = <u32>(ip - decoded) >> 3;
  const code = <usize>load<u32>(decoded, PAGE_ADDRESS) + (index << 1);
  const half = <u32>load<u16>(code);
  if ((half & 3) != 3) store<u64>(ip, decodeCompressed(half, index));
  else if (index == SLOTS - 1) store<u64>(ip, slot(CROSSING, 0, 0, 0, 0, 0));
  else store<u64>(ip, decode(half | (<u32>load<u16>(code, 2) << 16), index));
}

// Decodes the instruction whose second half is in the next page, to a slot of its own. It is looked
// at each time: the next page may be another one by then.
export function decodeCrossing(decoded: usize, nextPage: u64): u32 {
  const first = <usize>load<u32>(decoded, PAGE_ADDRESS) + PAGE_BYTES - 2;
  const event = fetchPage(nextPage);
  if (event != DONE) return event;
  const second = <usize>load<u32>(load<u32>(fetched, 8), PAGE_ADDRESS);
  const instruction = <u32>load<u16>(first) | (<u32>load<u16>(second) << 16);
  const end = slot(END_OF_PAGE, 0, 0, 0, 0, 0);
  store<u64>(hart + CROSSING_SLOT, decode(instruction, NOWHERE));
  store<u32>(hart + CROSSING_SLOT + 8, instruction);
  store<u64>(hart + CROSSING_SLOT + 16, end);
  return DONE;
}

// The instruction that the slot at `ip` was made from.
export function instructionAt(decoded: usize, ip: usize): u32 {
  if (ip == hart + CROSSING_SLOT) return load<u32>(ip, 8);
  const code = <usize>load<u32>(decoded, PAGE_ADDRESS) + ((ip - decoded) >> 2);
  const half = <u32>load<u16>(code);
  return (half & 3) == 3 ? half | (<u32>load<u16>(code, 2) << 16) : half;
}

// FENCE.I: what was written since it was decoded is forgotten.
export function dropWrittenCode(): void {
  if (wereTooManyWritten()) return dropAllCode();
  let dropped = false;
  for (let pfn = takeWritten(); pfn >= 0; pfn = takeWritten()) {
    if (load<u32>(tagOf(pfn)) == <u32>pfn + 1) store<u32>(tagOf(pfn), 0);
    dropped = true;
  }
  if (dropped) flushFetchTlb();
}

export function dropAllCode(): void {
  memory.fill(hart + DECODE_TAGS, 0, DECODE_PAGES * 4);
  resetCodeWatch();
  flushFetchTlb();
}
