// Loads and stores that the TLB does not answer: the first access to a page, misaligned ones, those
// that cross into another page, and devices.
import {
  accessFault, DONE, inRam, LOAD, markDirty, PAGE_BYTES, pfnOf, raise, ramAddress, STORE,
  SYNCHRONISE,
} from '../context';
import { READ_TLB, WRITE_TLB } from '../hart-layout';
import { noteCodeWrite } from './code-watch';
import { isGlobal, level, physical, probe, translate } from './page-walk';
import { dataMode, fill } from './tlb';

// Devices. Addresses are aligned to the 1, 2 or 4 bytes that are accessed.
@external("env", "mmioExists")
declare function mmioExists(address: u32, bytes: i32): i32;
@external("env", "mmioRead")
declare function mmioRead(address: u32, bytes: i32): i32;
@external("env", "mmioWrite")
declare function mmioWrite(address: u32, bytes: i32, value: i32): void;

// What the last load read, zero-extended.
export let loaded: u64 = 0;

// Where a resolved access is in this memory; 0: it is not in RAM, but at `physical`.
export let place: usize = 0;

// Finds the place of an access that is going to happen, and enters its page into the TLB.
export function resolve(address: u64, access: u32): u32 {
  const mode = dataMode();
  const event = translate(address, access, mode);
  if (event != DONE) return event;
  place = 0;
  if (!inRam(physical)) return DONE;
  place = ramAddress(physical);
  const pfn = pfnOf(physical);
  const distance = <u32>place - <u32>address;
  if (access == STORE) {
    markDirty(pfn);
    noteCodeWrite(pfn);
    fill(WRITE_TLB, mode, address, distance, level, isGlobal);
  } else {
    fill(READ_TLB, mode, address, distance, level, isGlobal);
  }
  return DONE;
}

@inline function crosses(address: u64, bytes: u32): bool {
  return (<u32>address & (PAGE_BYTES - 1)) + bytes > PAGE_BYTES;
}

@inline function isAligned(address: u64, bytes: u32): bool {
  return (<u32>address & (bytes - 1)) == 0;
}

// Sets `loaded`. DONE, TRAP, INTERRUPTED, or SYNCHRONISE after an access to a device.
export function loadSlow(address: u64, bytes: u32): u32 {
  if (crosses(address, bytes)) return loadCrossing(address, bytes);
  const event = resolve(address, LOAD);
  if (event != DONE) return event;
  if (place == 0) return loadDevice(address, bytes);
  loaded = loadBytes(place, bytes);
  return DONE;
}

function loadBytes(at: usize, bytes: u32): u64 {
  if (bytes == 8) return load<u64>(at);
  if (bytes == 4) return load<u32>(at);
  return bytes == 2 ? <u64>load<u16>(at) : <u64>load<u8>(at);
}

// DONE when both pages of a crossing access may be accessed and are there; nothing is changed.
function probeCrossing(address: u64, nextPage: u64, access: u32): u32 {
  const mode = dataMode();
  let event = probe(address, access, mode);
  if (event != DONE) return event;
  if (!inRam(physical)) return raise(accessFault(access), address);
  event = probe(nextPage, access, mode);
  if (event != DONE) return event;
  return inRam(physical) ? DONE : raise(accessFault(access), nextPage);
}

function loadCrossing(address: u64, bytes: u32): u32 {
  const nextPage = (address | 0xfff) + 1;
  let event = probeCrossing(address, nextPage, LOAD);
  if (event != DONE) return event;
  event = resolve(address, LOAD);
  if (event != DONE) return event;
  const first = place;
  event = resolve(nextPage, LOAD);
  if (event != DONE) return event;
  const before = <u32>(nextPage - address);
  let value: u64 = 0;
  for (let index: u32 = 0; index < bytes; index++) {
    const at = index < before ? first + index : place + (index - before);
    value |= <u64>load<u8>(at) << (index << 3);
  }
  loaded = value;
  return DONE;
}

function isDevice(at: u64, address: u64, bytes: u32): bool {
  if (at >> 32 != 0 || !isAligned(address, bytes)) return false;
  if (bytes < 8) return mmioExists(<u32>at, bytes) != 0;
  return mmioExists(<u32>at, 4) != 0 && mmioExists(<u32>at + 4, 4) != 0;
}

function loadDevice(address: u64, bytes: u32): u32 {
  const at = physical;
  if (!isDevice(at, address, bytes)) return raise(accessFault(LOAD), address);
  if (bytes < 8) {
    const value = <u64><u32>mmioRead(<u32>at, bytes);
    loaded = bytes == 4 ? value : value & ((<u64>1 << (bytes << 3)) - 1);
  } else {
    const low = <u64><u32>mmioRead(<u32>at, 4);
    loaded = low | (<u64><u32>mmioRead(<u32>at + 4, 4) << 32);
  }
  return SYNCHRONISE;
}

export function storeSlow(address: u64, bytes: u32, value: u64): u32 {
  if (crosses(address, bytes)) return storeCrossing(address, bytes, value);
  const event = resolve(address, STORE);
  if (event != DONE) return event;
  if (place == 0) return storeDevice(address, bytes, value);
  if (bytes == 8) store<u64>(place, value);
  else if (bytes == 4) store<u32>(place, <u32>value);
  else if (bytes == 2) store<u16>(place, <u16>value);
  else store<u8>(place, <u8>value);
  return DONE;
}

function storeCrossing(address: u64, bytes: u32, value: u64): u32 {
  const nextPage = (address | 0xfff) + 1;
  let event = probeCrossing(address, nextPage, STORE);
  if (event != DONE) return event;
  event = resolve(address, STORE);
  if (event != DONE) return event;
  const first = place;
  event = resolve(nextPage, STORE);
  if (event != DONE) return event;
  const before = <u32>(nextPage - address);
  for (let index: u32 = 0; index < bytes; index++) {
    const at = index < before ? first + index : place + (index - before);
    store<u8>(at, <u8>(value >> (index << 3)));
  }
  return DONE;
}

function storeDevice(address: u64, bytes: u32, value: u64): u32 {
  const at = physical;
  if (!isDevice(at, address, bytes)) return raise(accessFault(STORE), address);
  if (bytes < 8) {
    mmioWrite(<u32>at, bytes, <i32>value);
  } else {
    mmioWrite(<u32>at, 4, <i32>value);
    mmioWrite(<u32>at + 4, 4, <i32>(value >> 32));
  }
  return SYNCHRONISE;
}
