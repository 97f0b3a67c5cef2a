// 3. What the soft MMU adds to a store when every page is already dirty, as a ratio to a bare wasm loop.
import { instantiatePrograms, strictMmuHost } from '../dist/guest/workload/workload-program.js';
import { dirtyMapAddress, GuestMemory } from '../dist/guestmem/index.js';
import { summary } from './statistics.mjs';

const LOOPS = [
  ['every word of a page, page opened once', 'storeLoopBare', 'storeLoopMmu'],
  ['every word, checked each time', 'storeLoopBare', 'storeLoopMmuSingle'],
  ['one word in each page', 'pageLoopBare', 'pageLoopMmu'],
];

function timed(loop, bytes, repetitions) {
  const startMs = performance.now();
  for (let index = 0; index < repetitions; index += 1) loop(0, bytes, index);
  return performance.now() - startMs;
}

export const softMmu = {
  name: 'soft-mmu',
  async run({ smoke, record }) {
    // Small enough for the cache: otherwise memory hides what the check costs.
    const ramBytes = 2 ** 20;
    const memory = GuestMemory.allocate([{ name: 'ram0', bytes: ramBytes }], 1);
    const [block] = memory.blocks;
    const map = dirtyMapAddress(block.layout, 0, 0);
    block.bytes.fill(1, map, map + block.layout.pageCount);
    const [program] = instantiatePrograms(memory, 1, strictMmuHost());
    program.mmuSelectMap(map);
    for (const [what, bareName, mmuName] of LOOPS) {
      const pageLoop = bareName === 'pageLoopBare';
      const repetitions = (smoke ? 20 : 2_000) * (pageLoop ? 500 : 1);
      const ratios = [];
      for (let round = 0; round < (smoke ? 2 : 9); round += 1) {
        const bareMs = timed(program[bareName], ramBytes, repetitions);
        ratios.push(timed(program[mmuName], ramBytes, repetitions) / bareMs);
      }
      // The first round warms the optimizing compiler up.
      record({
        what: `store through the soft MMU over a bare store: ${what}`,
        ratio: summary(ratios.slice(1)),
        target: 'p50 <= 1.5',
      });
    }
  },
};
