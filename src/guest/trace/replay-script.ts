import { crc32 } from 'node:zlib';
import { PAGE_BYTES, SternaError } from '../../base/index.ts';
import { type ChangeSample, type Trace, tracePages } from '../../guestmem/index.ts';
import { partOf } from '../workload/workload-ranges.ts';

/**
 * A trace as a guest replays it, in its own RAM: so it crosses with the guest, and a destination
 * needs no file. 32-bit words, little-endian:
 *
 *   0 magic · 1 CRC-32 of all words from 2 on · 2 vCPUs · 3 intervals · 4 pages of the trace
 *   · 5 first word of the populated bitmap · 6 first word of the interval starts
 *   · then for each vCPU: first word of its sums, first word of its runs, number of runs
 *
 * *Interval starts*: microseconds, and the end of the last interval. *Sums* of a vCPU: its writes
 * before each interval, and all of them. *Runs*: first page, pages, words of each page that change
 * and the bytes from one to the next (16 bits each), writes of the vCPU before the run.
 */
export const SCRIPT_MAGIC = 0x3150_5254;
export const SCRIPT_HEAD_WORDS = 7;
export const SCRIPT_VCPU_WORDS = 3;
export const SCRIPT_RUN_WORDS = 4;

/** How a write changes a page: so many words, so far apart. Fixed for each page. */
export interface ChangeKind {
  readonly words: number;
  readonly stepBytes: number;
}

/**
 * For a guest of `ramPages`, at least as many as the trace has. Throws E_CONFIG_INVALID for a trace
 * that cannot be replayed.
 */
export function buildScript(trace: Trace, vcpuCount: number, ramPages: number): Uint32Array {
  const pageCount = tracePages(trace.header);
  const spanUs = trace.intervals.reduce((sum, { spanMs }) => sum + spanMs * 1000, 0);
  if (!(spanUs > 0 && spanUs < 2 ** 32)) {
    throw new SternaError('E_CONFIG_INVALID', 'A trace to replay lasts up to 71 minutes', {
      detail: { spanMs: spanUs / 1000 },
    });
  }
  const kindOf = changeKinds(trace);
  const words: number[] = new Array<number>(SCRIPT_HEAD_WORDS + vcpuCount * SCRIPT_VCPU_WORDS);
  words.fill(0);
  words[0] = SCRIPT_MAGIC;
  words[2] = vcpuCount;
  words[3] = trace.intervals.length;
  words[4] = pageCount;
  words[5] = words.length;
  for (const word of bitmapWords(trace.populated)) words.push(word);
  words[6] = words.length;
  let atUs = 0;
  for (const { spanMs } of trace.intervals) {
    words.push(Math.round(atUs));
    atUs += spanMs * 1000;
  }
  words.push(Math.round(atUs));
  for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
    const part = partOf({ first: 0, count: ramPages }, vcpu, vcpuCount);
    const { sums, runs } = vcpuScript(trace, part.first, part.first + part.count, kindOf);
    const head = SCRIPT_HEAD_WORDS + vcpu * SCRIPT_VCPU_WORDS;
    words[head] = words.length;
    for (const sum of sums) words.push(sum);
    words[head + 1] = words.length;
    words[head + 2] = runs.length / SCRIPT_RUN_WORDS;
    for (const word of runs) words.push(word);
  }
  const script = Uint32Array.from(words);
  script[1] = scriptCrc(script);
  return script;
}

export function scriptCrc(script: Uint32Array): number {
  return crc32(Buffer.from(script.buffer, script.byteOffset + 8, script.byteLength - 8));
}

function vcpuScript(
  { intervals }: Trace,
  from: number,
  to: number,
  kindOf: (pfn: number) => number,
): { readonly sums: number[]; readonly runs: number[] } {
  const [sums, runs]: [number[], number[]] = [[], []];
  let writes = 0;
  for (const { pages } of intervals) {
    sums.push(writes);
    const own = pages.filter((pfn) => pfn >= from && pfn < to);
    for (let at = 0; at < own.length; ) {
      const first = own[at] as number;
      const kind = kindOf(first);
      let count = 1;
      while (own[at + count] === first + count && kindOf(first + count) === kind) count += 1;
      runs.push(first, count, kind, writes);
      writes += count;
      at += count;
    }
  }
  sums.push(writes);
  return { sums, runs };
}

/** A page of which the trace has a sample changes like that, the others like all samples do. */
function changeKinds({ intervals }: Trace): (pfn: number) => number {
  const byPage = new Map<number, ChangeSample[]>();
  const all = intervals.flatMap(({ changes }) => changes);
  for (const change of all) {
    const known = byPage.get(change.pfn);
    if (known === undefined) byPage.set(change.pfn, [change]);
    else known.push(change);
  }
  const usual = packKind(kindOfSamples(all));
  const kinds = new Map([...byPage].map(([pfn, some]) => [pfn, packKind(kindOfSamples(some))]));
  return (pfn) => kinds.get(pfn) ?? usual;
}

/** As many changed bytes, and as many runs of them: a delta has three bytes beside each run. */
function kindOfSamples(samples: readonly ChangeSample[]): ChangeKind {
  const mean = (of: (sample: ChangeSample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / Math.max(1, samples.length);
  const changed = mean(({ changedBytes }) => changedBytes);
  const runs = mean(({ changedBytes, xbzrleBytes }) => (xbzrleBytes - changedBytes) / 3);
  const words = Math.min(PAGE_BYTES / 4, Math.max(1, Math.round(changed / 4)));
  const isScattered = runs >= words / 2;
  return { words, stepBytes: isScattered ? Math.floor(PAGE_BYTES / words / 4) * 4 : 4 };
}

function packKind({ words, stepBytes }: ChangeKind): number {
  return words + stepBytes * 2 ** 16;
}

export function unpackKind(word: number): ChangeKind {
  return { words: word & 0xffff, stepBytes: word >>> 16 };
}

function bitmapWords(bitmap: Uint8Array): Uint32Array {
  const padded = new Uint8Array(Math.ceil(bitmap.length / 4) * 4);
  padded.set(bitmap);
  return new Uint32Array(padded.buffer);
}
