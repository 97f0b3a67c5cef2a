import { PAGE_BYTES } from '../../base/index.ts';
import type { GuestMemory } from '../../guestmem/index.ts';
import {
  SCRIPT_HEAD_WORDS,
  SCRIPT_MAGIC,
  SCRIPT_RUN_WORDS,
  SCRIPT_VCPU_WORDS,
  scriptCrc,
  unpackKind,
} from './replay-script.ts';

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
