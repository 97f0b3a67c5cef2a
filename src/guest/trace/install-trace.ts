import { PAGE_BYTES } from '../../base/index.ts';
import { dirtyMapAddress } from '../../guestmem/index.ts';
import type { AttachedMachine } from '../attached-machine.ts';
import { instantiatePrograms, strictMmuHost } from '../workload/workload-program.ts';
import type { ReplayedTrace } from './read-trace.ts';

/**
 * What a guest of a trace has in its RAM when it starts: noise where the recorded one had anything,
 * and the script. The machine stands still; what is written counts as its first vCPU's.
 */
export function installTrace(
  machine: AttachedMachine,
  { trace, script, spec }: ReplayedTrace,
): void {
  const { memory, description } = machine;
  const programs = instantiatePrograms(memory, Number(description.config.seed), strictMmuHost());
  for (const [index, { layout }] of memory.blocks.entries()) {
    programs[index]?.mmuSelectMap(dirtyMapAddress(layout, 0, memory.activeMap(0)));
  }
  for (const { first, count } of populatedRuns(trace.populated)) {
    for (let pfn = first; pfn < first + count; ) {
      const block = memory.locate(pfn * PAGE_BYTES)?.block;
      const program = programs[block?.layout.index ?? -1];
      if (program === undefined) return;
      pfn += program.fillRun(pfn, first + count - pfn);
    }
  }
  const bytes = new Uint8Array(script.buffer, script.byteOffset, script.byteLength);
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const found = memory.locate(spec.pages * PAGE_BYTES + at);
    if (found === undefined) return;
    const { block, offsetBytes } = found;
    block.ram.set(bytes.subarray(at, at + PAGE_BYTES), offsetBytes);
    const map = dirtyMapAddress(block.layout, 0, memory.activeMap(0));
    block.bytes[map + offsetBytes / PAGE_BYTES] = 1;
  }
}

function* populatedRuns(bitmap: Uint8Array): Generator<{ first: number; count: number }> {
  const end = bitmap.length * 8;
  const isSet = (pfn: number) => (((bitmap[pfn >>> 3] as number) >>> (pfn & 7)) & 1) === 1;
  for (let pfn = 0; pfn < end; ) {
    if (!isSet(pfn)) {
      pfn += 1;
      continue;
    }
    const first = pfn;
    while (pfn < end && isSet(pfn)) pfn += 1;
    yield { first, count: pfn - first };
  }
}
