// The soft MMU: the only way in which a guest's program reaches its RAM. One instance serves one
// vCPU and one RAM block; an address is the byte offset into that block. README.md tells the
// contract; safepoint.ts why no write is lost.

// Provided by the host. `guestFault` throws; `pageMissing` blocks this vCPU until the page is
// there, or throws when the vCPU must come to its safepoint before.
@external("env", "guestFault")
declare function guestFault(gpa: u32, write: bool): void;
@external("env", "pageMissing")
declare function pageMissing(pfn: u32): void;

const PAGE_SHIFT: u32 = 12;
const PAGE_MASK: u32 = 4095;

// Set by the host, and only at safepoints: a slice sees one value from its beginning to its end.
let ramBase: usize = 0;
let ramBytes: u32 = 0;
let receivedMap: usize = 0;
let dirtyMap: usize = 0;
let postcopy: bool = false;
// A load below this address needs no further check: the end of RAM, or 0 while pages may be
// missing.
let loadLimit: u32 = 0;

export function mmuConfigure(ram: usize, pages: u32, received: usize): void {
  ramBase = ram;
  ramBytes = pages << PAGE_SHIFT;
  receivedMap = received;
  mmuPostcopy(postcopy);
}

export function mmuSelectMap(map: usize): void {
  dirtyMap = map;
}

export function mmuPostcopy(on: bool): void {
  postcopy = on;
  loadLimit = on ? 0 : ramBytes;
}

// Where RAM begins, for programs that only look (checks of a paused guest) and for the bare twin of
// the benchmark.
@inline export function mmuRamBase(): usize { return ramBase; }

// A mark is 1, so `mark > misalignment` is one comparison for: this page is marked in this vCPU's
// current map, hence present and in bounds, and the address is aligned. The map has a byte for each
// page that 32 bits can name, so any address may be looked up; those outside RAM find 0.
@inline function writable(gpa: u32, alignment: u32): bool {
  return <u32>load<u8>(dirtyMap + (gpa >> PAGE_SHIFT)) > (gpa & (alignment - 1));
}

// Rotating puts the bits of a misaligned address on top, where they make it larger than any limit
// (RAM ends at 2 GiB).
@inline function readable(gpa: u32, shift: u32): bool {
  return rotr<u32>(gpa, shift) < loadLimit >> shift;
}

@inline export function load8(gpa: u32): u32 {
  if (gpa >= loadLimit) admit(gpa, 1, false);
  return load<u8>(ramBase + gpa);
}

@inline export function load32(gpa: u32): u32 {
  if (!readable(gpa, 2)) admit(gpa, 4, false);
  return load<u32>(ramBase + gpa);
}

@inline export function load64(gpa: u32): u64 {
  if (!readable(gpa, 3)) admit(gpa, 8, false);
  return load<u64>(ramBase + gpa);
}

@inline export function store8(gpa: u32, value: u32): void {
  if (writable(gpa, 1)) store<u8>(ramBase + gpa, <u8>value);
  else storeSlow8(gpa, value);
}

@inline export function store32(gpa: u32, value: u32): void {
  if (writable(gpa, 4)) store<u32>(ramBase + gpa, value);
  else storeSlow32(gpa, value);
}

@inline export function store64(gpa: u32, value: u64): void {
  if (writable(gpa, 8)) store<u64>(ramBase + gpa, value);
  else storeSlow64(gpa, value);
}

function storeSlow8(gpa: u32, value: u32): void {
  admit(gpa, 1, true);
  store<u8>(ramBase + gpa, <u8>value);
  mark(gpa);
}

function storeSlow32(gpa: u32, value: u32): void {
  admit(gpa, 4, true);
  store<u32>(ramBase + gpa, value);
  mark(gpa);
}

function storeSlow64(gpa: u32, value: u64): void {
  admit(gpa, 8, true);
  store<u64>(ramBase + gpa, value);
  mark(gpa);
}

function mark(gpa: u32): void {
  store<u8>(dirtyMap + (gpa >> PAGE_SHIFT), 1);
}

// A page opened for many accesses: the address of its first byte in this memory, for bare loads and
// stores inside that page until the end of the slice, and no longer. One check for the whole run
// instead of one for each store. It marks before the stores; that is as good as after, because the
// flip comes after the slice.
@inline export function pageForWrite(gpa: u32): usize {
  if (mayWaitToWrite(gpa)) openForWrite(gpa);
  return pageAddress(gpa);
}

@inline export function pageForRead(gpa: u32): usize {
  if (mayWaitToRead(gpa)) openForRead(gpa);
  return pageAddress(gpa);
}

// The same in steps, for a program that must note how far it is before an access that may wait:
// `pageMissing` may throw. The note costs nothing where the access takes the fast path.
@inline export function mayWaitToWrite(gpa: u32): bool {
  return load<u8>(dirtyMap + (gpa >> PAGE_SHIFT)) == 0;
}

@inline export function mayWaitToRead(gpa: u32): bool {
  return gpa >= loadLimit;
}

export function openForWrite(gpa: u32): void {
  admit(gpa, 1, true);
  mark(gpa);
}

export function openForRead(gpa: u32): void {
  admit(gpa, 1, false);
}

// Of a page that was opened in this slice.
@inline export function pageAddress(gpa: u32): usize {
  return ramBase + (gpa & ~PAGE_MASK);
}

// Returns when the access may happen; does not return when it may not.
function admit(gpa: u32, alignment: u32, write: bool): void {
  if (gpa >= ramBytes || (gpa & (alignment - 1)) != 0) {
    guestFault(gpa, write);
    unreachable();
  }
  if (!postcopy) return;
  const pfn = gpa >> PAGE_SHIFT;
  // Pairs with the atomic store of the received map's byte, which the migration worker does after
  // the page's bytes.
  while (atomic.load<u8>(receivedMap + pfn) == 0) pageMissing(pfn);
}
