import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Random } from '../../../src/base/index.ts';
import { AttachedMachine, type WorkloadMachine } from '../../../src/guest/index.ts';
import { registersOf } from '../../../src/guest/shared-state.ts';
import { PHASE } from '../../../src/guest/vcpu-registers.ts';
import { accesses, describeGuest, guestOf, letWrite, startGuest } from './guests.ts';

test('pause() stops every access and resume() lets them go on', async () => {
  const machine = await startGuest('memwrite,hot=1M', { vcpuCount: 2 });
  await letWrite(machine, 100);
  await machine.pause('operator');
  const before = accesses(machine);
  const ram = Buffer.from(machine.memory.blocks[0]!.ram);
  const timeMs = machine.guestTimeMs();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(accesses(machine)).toBe(before);
  expect(machine.memory.blocks[0]!.ram.equals(ram)).toBe(true);
  expect(machine.guestTimeMs()).toBe(timeMs);
  machine.resume('operator');
  await letWrite(machine, 100);
  expect(machine.guestTimeMs()).toBeGreaterThan(timeMs);
});

test('pause() keeps guest code from running when flips of another view race with it', async () => {
  const machine = await startGuest('memwrite,hot=2M,pattern=random', { vcpuCount: 3 });
  const other = AttachedMachine.attach(machine.handles());
  const random = new Random(11);
  const state = { done: false, flips: 0 };
  const flipping = (async () => {
    while (!state.done) {
      await other.flipDirtyLogs();
      other.memory.mergeRetiredLogs();
      state.flips += 1;
      // A flip of a paused guest is done at once: without this turn nobody else would ever come up.
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let round = 0; round < 300; round += 1) {
    await machine.pause('operator');
    const before = accesses(machine);
    for (let turns = random.below(4); turns > 0; turns -= 1)
      await new Promise((r) => setImmediate(r));
    expect(accesses(machine)).toBe(before);
    machine.resume('operator');
    for (let turns = random.below(4); turns > 0; turns -= 1)
      await new Promise((r) => setImmediate(r));
  }
  state.done = true;
  await flipping;
  expect(state.flips).toBeGreaterThan(100);
  await machine.pause('operator');
  expect(await machine.check()).toMatchObject({ ok: true });
});

test('pauses of two reasons from two threads add up', async () => {
  const machine = await startGuest('memwrite,hot=1M', { vcpuCount: 2 });
  const thread = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     import(workerData.module).then(async ({ AttachedMachine }) => {
       const machine = AttachedMachine.attach(workerData.handles);
       for (let round = 0; round < 200; round += 1) {
         await machine.pause('migration');
         machine.resume('migration');
       }
       await machine.pause('migration');
       parentPort.postMessage(machine.progress());
     });`,
    {
      eval: true,
      workerData: {
        handles: machine.handles(),
        module: new URL('../../../dist/guest/index.js', import.meta.url).href,
      },
    },
  );
  const seen = new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
  for (let round = 0; round < 200; round += 1) {
    await machine.pause('operator');
    const before = accesses(machine);
    await new Promise((resolve) => setImmediate(resolve));
    expect(accesses(machine)).toBe(before);
    machine.resume('operator');
  }
  // The other thread holds its reason: the guest stands still as that thread saw it.
  expect(await seen).toEqual(machine.progress());
  expect(machine.pauseReasons()).toEqual(['migration']);
  machine.resume('migration');
  await letWrite(machine, 10);
  await thread.terminate();
});

/** Makes a vCPU run into a page that does not exist, as a defect of its program would. */
async function breakVcpu(machine: WorkloadMachine, vcpu: number): Promise<void> {
  await machine.pause('operator');
  const registers = registersOf(machine.handles().registers)[vcpu]!;
  registers.phase = PHASE.running;
  registers.nextPfn = 2 ** 31;
  machine.resume('operator');
}

test('pause() and flipDirtyLogs() reject with E_WORKER_DIED when a vCPU died', async () => {
  const machine = await startGuest('memwrite,hot=1M', { vcpuCount: 2 });
  const told = new Promise((resolve) => machine.onVcpuDeath(resolve));
  const attached = AttachedMachine.attach(machine.handles());
  await breakVcpu(machine, 1);
  expect(await told).toMatchObject({ code: 'E_WORKER_DIED', detail: { vcpu: 1 } });
  await expect(attached.pause('migration')).rejects.toMatchObject({ code: 'E_WORKER_DIED' });
  await expect(attached.flipDirtyLogs()).rejects.toMatchObject({ code: 'E_WORKER_DIED' });
  await expect(machine.pause('operator')).rejects.toMatchObject({ code: 'E_WORKER_DIED' });
});

test('flipDirtyLogs() that is under way rejects with E_WORKER_DIED when a vCPU dies', async () => {
  const machine = await startGuest('memwrite,hot=1M', { vcpuCount: 2 });
  await breakVcpu(machine, 0);
  const flips = (async () => {
    for (;;) await machine.flipDirtyLogs();
  })();
  await expect(flips).rejects.toMatchObject({ code: 'E_WORKER_DIED' });
});

test('16 vCPUs pause, flip and keep their invariants', async () => {
  const machine = await startGuest('memwrite,fill=16M,hot=16M,rate=100000', { vcpuCount: 16 });
  await machine.waitBooted();
  await letWrite(machine, 5000);
  for (let round = 0; round < 5; round += 1) {
    await machine.flipDirtyLogs();
    machine.memory.mergeRetiredLogs();
    await machine.pause('migration');
    expect(await machine.check()).toMatchObject({ ok: true, pages: 4096 });
    machine.resume('migration');
  }
});

test('create() leaves a guest that starts paused at its first safepoint', async () => {
  const machine = await guestOf(describeGuest('memwrite,fill=1M'), true);
  expect(machine.pauseReasons()).toEqual(['ownership']);
  expect(machine.memory.blocks[0]!.ram.every((byte) => byte === 0)).toBe(true);
  expect(machine.heartbeats()[0]?.firstStepMs).toBeNaN();
  machine.resume('ownership');
  await machine.waitBooted();
  // The first vCPU prints when it begins; another one may have written before.
  await machine.control.until(() => machine.consoleText() !== '');
  expect(machine.consoleText()[0]).toBe('A');
});

test('throttle() slows the guest down by its share', async () => {
  const machine = await startGuest('memwrite,hot=1M', { vcpuCount: 1 });
  await letWrite(machine, 1000);
  const rate = async () => {
    const [from, fromMs] = [accesses(machine), machine.guestTimeMs()];
    await new Promise((resolve) => setTimeout(resolve, 200));
    return (accesses(machine) - from) / (machine.guestTimeMs() - fromMs);
  };
  const full = await rate();
  machine.control.throttle('migration', 90);
  const throttled = await rate();
  expect(throttled / full).toBeLessThan(0.5);
  expect(throttled).toBeGreaterThan(0);
});

test('save() finds the guest standing still right after pause(), also when it was resumed just before', async () => {
  const machine = await startGuest('memwrite,hot=1M', { vcpuCount: 4 });
  await machine.waitBooted();
  await machine.pause('migration');
  // A vCPU that is still about to wake for the resume is what this looks for.
  for (let round = 0; round < 500; round += 1) {
    machine.resume('migration');
    await machine.pause('migration');
    await machine.save();
  }
});
