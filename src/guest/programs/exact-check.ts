// Checks of programs whose registers say what each byte must be. As in check.ts, each returns the
// pages that it found good: `count`, or the index of the first bad one.
import { bad, checkedPage, setVersionSum } from './check';
import { SESSION_BYTES, sessionCheck } from './erp';
import { noiseNext, noiseStart } from './noise';
import { seed } from './slice';
import {
  changesEnd, changingNoise, frameIndex, frameNumber, hashNext, hashStart, restingNoise,
  STREAM_CHECKSUM, STREAM_HEADER,
} from './stream';

// Compares one word; false when it is another.
function isWord(page: usize, at: usize, wanted: u32): bool {
  const found = load<u32>(page + at);
  return found == wanted || bad(at, wanted, found);
}

// Noise (or zeros) in which each unit, `stride` bytes apart, was raised by `sweeps`.
export function checkLmbench(
  first: u32, count: u32, noise: bool, unit: u32, stride: u32, sweeps: u32,
): u32 {
  const step: usize = max<u32>(stride, 4);
  for (let i: u32 = 0; i < count; i++) {
    const page = checkedPage(first + i);
    let x: u64 = noise ? noiseStart(seed, first + i) : 0;
    for (let at: usize = 0; at < 4096; at += 8) {
      if (noise) x = noiseNext(x);
      for (let half: usize = 0; half < 8; half += 4) {
        let wanted = <u32>(x >> (half << 3));
        if ((at + half) % step == 0) wanted = raised(wanted, unit, stride, sweeps);
        if (!isWord(page, at + half, wanted)) return i;
      }
    }
  }
  return count;
}

function raised(word: u32, unit: u32, stride: u32, sweeps: u32): u32 {
  if (unit == 4) return word + sweeps;
  let result = word;
  for (let shift: u32 = 0; shift < 32; shift += stride << 3) {
    const byte = ((word >> shift) + sweeps) & 255;
    result = (result & ~(<u32>255 << shift)) | (byte << shift);
  }
  return result;
}

// Pages of frames that were written `version` times, at least once.
export function checkStream(first: u32, count: u32, version: u32): u32 {
  for (let i: u32 = 0; i < count; i++) if (!isFramePage(first + i, version)) return i;
  return count;
}

function isFramePage(pfn: u32, version: u32): bool {
  const page = checkedPage(pfn);
  const number = frameNumber(pfn, version), index = frameIndex(pfn);
  if (!isWord(page, 0, number) || !isWord(page, 4, index) || !isWord(page, 8, 0)) return false;
  let hash = hashStart(number, index);
  let x = changingNoise(pfn, version);
  for (let at = STREAM_HEADER; at < 4096; at += 8) {
    if (at == changesEnd()) x = restingNoise(pfn);
    x = noiseNext(x);
    const low = <u32>x, high = <u32>(x >> 32);
    if (!isWord(page, at, low) || !isWord(page, at + 4, high)) return false;
    hash = hashNext(hashNext(hash, low), high);
  }
  return isWord(page, STREAM_CHECKSUM, hash);
}

// The session table of a vCPU, to which every `vcpuCount`-th session from `vcpu` on belongs. Leaves
// the number of all committed transactions in versionSum().
export function checkSessions(table: u32, vcpu: u32, vcpuCount: u32, sessions: u32): u32 {
  const page = checkedPage(table);
  let sum: u32 = 0;
  for (let session: u32 = 0; session < 4096 / SESSION_BYTES; session++) {
    const at = session * SESSION_BYTES;
    const isOwn = session < sessions && session % vcpuCount == vcpu;
    const committed = isOwn ? load<u32>(page + at) : 0;
    if (!isWord(page, at, committed)) return 0;
    if (!isWord(page, at + 4, sessionCheck(session, committed))) return 0;
    if (!isWord(page, at + 8, 0) || !isWord(page, at + 12, 0)) return 0;
    sum += committed;
  }
  setVersionSum(sum);
  return 1;
}
