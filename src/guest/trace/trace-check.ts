import { PAGE_BYTES } from '../../base/index.ts';
import type { GuestMemory } from '../../guestmem/index.ts';
import type { VcpuRegisters } from '../vcpu-registers.ts';
import type { PageWalk } from '../workload/page-walk.ts';
import type { TraceSpec } from '../workload/trace-spec.ts';
import { type PageRange, partOf } from '../workload/workload-ranges.ts';
import {
  SCRIPT_HEAD_WORDS,
  SCRIPT_MAGIC,
  SCRIPT_RUN_WORDS,
  SCRIPT_VCPU_WORDS,
  scriptCrc,
  unpackKind,
} from './replay-script.ts';

/** Compares all of RAM with what the script in it says, and with what the vCPUs count. */
export async function checkTrace(
  { pages, scriptBytes }: TraceSpec,
  memory: GuestMemory,
  registers: readonly Pick<VcpuRegisters, 'writes'>[],
  walk: PageWalk,
): Promise<void> {
  const ranges = traceRanges(memory, pages, scriptBytes);
  if (ranges === undefined) return walk.complain('The script of the trace is damaged');
  const all = { first: 0, count: pages };
  for (const [vcpu, { writes }] of registers.entries()) {
    let versions = 0;
    for (const piece of within(ranges, partOf(all, vcpu, registers.length))) {
      await walk.run(piece, (program, from, count) => {
        if (piece.words === 0 && !piece.isNoise) return program.checkZero(from, count);
        const { isNoise, words, stepBytes } = piece;
        const good = program.checkVersions(from, count, isNoise, words, stepBytes);
        versions = (versions + program.versionSum()) >>> 0;
        return good;
      });
    }
    // A sum that does not fit after bad pages says nothing new.
    if (walk.problems.length > 0 || versions === writes % 2 ** 32) continue;
    walk.complain(`vCPU ${vcpu} has written ${writes} pages, but its pages tell of ${versions}`);
  }
}

function within(ranges: readonly TraceRange[], part: PageRange): readonly TraceRange[] {
  const end = part.first + part.count;
  return ranges.flatMap((range) => {
    const first = Math.max(range.first, part.first);
    const count = Math.min(range.first + range.count, end) - first;
    return count > 0 ? [{ ...range, first, count }] : [];
  });
}

/** Pages that must hold the same kind of thing. `words` 0: they are never written. */
export interface TraceRange {
  readonly first: number;
  readonly count: number;
  readonly isNoise: boolean;
  readonly words: number;
  readonly stepBytes: number;
}

/**
 * What the script in a guest's RAM says of all other pages of it, ascending; undefined when the
 * script itself is damaged.
 */
export function traceRanges(
  memory: GuestMemory,
  pageCount: number,
  scriptBytes: number,
): readonly TraceRange[] | undefined {
  const script = scriptOf(memory, pageCount, scriptBytes);
  if (script === undefined || script[0] !== SCRIPT_MAGIC) return undefined;
  if (script[1] !== scriptCrc(script)) return undefined;
  // Its checksum fits, so it is what buildScript() made.
  const word = (index: number) => script[index] as number;
  const kinds = new Uint32Array(pageCount);
  for (let vcpu = 0; vcpu < word(2); vcpu += 1) {
    const head = SCRIPT_HEAD_WORDS + vcpu * SCRIPT_VCPU_WORDS;
    for (let run = 0; run < word(head + 2); run += 1) {
      const at = word(head + 1) + run * SCRIPT_RUN_WORDS;
      kinds.fill(word(at + 2), word(at), word(at) + word(at + 1));
    }
  }
  const isNoise = (pfn: number) =>
    pfn < word(4) && ((word(word(5) + (pfn >>> 5)) >>> (pfn & 31)) & 1) === 1;
  const ranges: TraceRange[] = [];
  for (let pfn = 0; pfn < pageCount; ) {
    const first = pfn;
    const noise = isNoise(first);
    while (pfn < pageCount && kinds[pfn] === kinds[first] && isNoise(pfn) === noise) pfn += 1;
    const kind = unpackKind(kinds[first] as number);
    ranges.push({ first, count: pfn - first, isNoise: noise, ...kind });
  }
  return ranges;
}

function scriptOf(
  memory: GuestMemory,
  pageCount: number,
  scriptBytes: number,
): Uint32Array | undefined {
  const bytes = new Uint8Array(scriptBytes);
  for (let at = 0; at < scriptBytes; at += PAGE_BYTES) {
    const found = memory.locate(pageCount * PAGE_BYTES + at);
    if (found === undefined) return undefined;
    const { block, offsetBytes } = found;
    const piece = Math.min(PAGE_BYTES, scriptBytes - at);
    bytes.set(block.ram.subarray(offsetBytes, offsetBytes + piece), at);
  }
  return new Uint32Array(bytes.buffer);
}
