// 3. What the soft MMU adds to a store when every page is already dirty, as a ratio to a bare wasm loop; and how
// long a vCPU stands that runs into a missing page, from there to the event loop of another thread and back.

import { summary } from '../dist/experiments/measuring/index.js';
import { machineDescription, parseWorkloadSpec, WorkloadMachine } from '../dist/guest/index.js';
import { instantiatePrograms, strictMmuHost } from '../dist/guest/workload/workload-program.js';
import { dirtyMapAddress, GuestMemory } from '../dist/guestmem/index.js';

const LOOPS = [
  ['every word of a page, page opened once', 'storeLoopBare', 'storeLoopMmu'],
  ['every word, checked each time', 'storeLoopBare', 'storeLoopMmuSingle'],
  ['one word in each page', 'pageLoopBare', 'pageLoopMmu'],
];

/** Of ControlBlock.faultTimes(): milliseconds that a vCPU was blocked, without the wait that goes on. */
const BLOCKED_MS = 1;

function timed(loop, bytes, repetitions) {
  const startMs = performance.now();
  for (let index = 0; index < repetitions; index += 1) loop(0, bytes, index);
  return performance.now() - startMs;
}

/** Microseconds of each fault, as the vCPU measures them; each page is "brought" by its mark alone. */
async function faultLatencies(rate, pages) {
  const description = machineDescription({
    name: 'guest',
    uuid: '6f1e3b0a-9d52-4c7e-8a41-0f5d2c9b7e13',
    ramBytes: 2 ** 26,
    vcpuCount: 1,
    spec: parseWorkloadSpec(`memwrite,hot=64M,rate=${rate}`),
    seed: 1,
  });
  const machine = await WorkloadMachine.create({ description, startPaused: true });
  machine.setPostcopy(true);
  const [block] = machine.memory.blocks;
  const times = machine.control.block.faultTimes(0);
  const latencies = [];
  let beforeMs = 0;
  await new Promise((resolve) => {
    const stop = machine.faults.watch(({ pfn }) => {
      // Of the faults before this one.
      if (latencies.length > 0 || times[BLOCKED_MS] > 0)
        latencies.push((times[BLOCKED_MS] - beforeMs) * 1000);
      beforeMs = times[BLOCKED_MS];
      Atomics.store(block.bytes, block.layout.receivedMap + pfn, 1);
      machine.faults.wake();
      if (latencies.length < pages) return;
      stop();
      resolve();
    });
    // An asynchronous wait alone keeps no thread alive.
    const alive = setInterval(() => latencies.length >= pages && clearInterval(alive), 100);
    machine.resume('ownership');
  });
  await machine.destroy();
  return latencies;
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
    for (const [what, rate] of [
      ['faults one after the other', 0],
      ['a fault now and then', 800],
    ]) {
      record({
        what: `microseconds from a missing page to the event loop of another thread and back: ${what}`,
        microseconds: summary(await faultLatencies(rate, smoke ? 50 : 2_000)),
        target: 'p50 <= 40',
      });
    }
  },
};
