// 9. The RISC-V machine: boot, pauses, its state, an idle guest's use of the host, and downtimes of Linux.
import { readFileSync } from 'node:fs';
import { LinuxPair, linuxImage } from '../../dist/experiments/index.js';
import { summary } from '../../dist/experiments/measuring/index.js';
import { migrate } from '../migration.mjs';
import { console, create, describe, linuxPlan, smallPlan } from './linux.mjs';

const RAM = '256M';
const RAM_BYTES = 256 * 2 ** 20;
const TICKS_PER_SECOND = 100;

async function machineOf(plan, ramBytes) {
  const machine = await create(describe({ ramBytes }));
  machine.furnish(plan);
  return machine;
}

async function boot(record) {
  const plan = await linuxPlan(describe({ ramBytes: RAM_BYTES }), 'sterna_init=idle');
  const seconds = [];
  const mips = [];
  for (let run = 0; run < 5; run += 1) {
    const machine = await machineOf(plan, RAM_BYTES);
    const output = console(machine);
    const startMs = performance.now();
    machine.resume('ownership');
    await output.until(/Run \/init as init process/);
    const bootMs = performance.now() - startMs;
    seconds.push(bootMs / 1000);
    mips.push(Number(machine.steps) / bootMs / 1000);
    output.stop();
    await machine.destroy();
  }
  record({
    what: "Debian's kernel from power-on to init, seconds",
    seconds: summary(seconds),
    millionInstructionsPerSecond: summary(mips),
    target: 'seconds <= 7',
  });
}

/** Pauses at random moments of a guest that works, and what its state takes. */
async function pauses(record, smoke) {
  const ramBytes = smoke ? 2 ** 24 : RAM_BYTES;
  const plan = smoke
    ? smallPlan('idle')
    : await linuxPlan(describe({ ramBytes }), 'sterna_init=redis-load');
  const machine = await machineOf(plan, ramBytes);
  const other = await create(describe({ ramBytes }));
  const output = console(machine);
  const [pauseMs, saveMs, loadMs, stateBytes] = [[], [], [], []];
  const timed = async (list, work) => {
    const startMs = performance.now();
    const result = await work();
    list.push(performance.now() - startMs);
    return result;
  };
  machine.resume('ownership');
  if (!smoke) await output.until(/load \d+ ok/);
  for (let run = 0; run < (smoke ? 3 : 1000); run += 1) {
    await timed(pauseMs, () => machine.pause('operator'));
    const state = await timed(saveMs, () => machine.save());
    await timed(loadMs, () => other.load(state));
    stateBytes.push(state.sections.reduce((sum, { bytes }) => sum + bytes.length, 0));
    machine.resume('operator');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
  }
  output.stop();
  await machine.destroy();
  await other.destroy();
  record({
    what: smoke ? 'an idle guest' : 'Linux with a writing redis: pauses, and its state',
    pauseMs: summary(pauseMs),
    saveMs: summary(saveMs),
    loadMs: summary(loadMs),
    stateBytes: Math.max(...stateBytes),
    target: 'pause p99 <= 1 ms, save and load <= 2 ms, state <= 64 KiB',
  });
}

function cpuTicks(pid) {
  const [, fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const values = fields.split(' ');
  return Number(values[11]) + Number(values[12]);
}

async function idleUse(pair, record) {
  const { pid } = pair.agents.source;
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const seconds = 20;
  const before = cpuTicks(pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const share = (cpuTicks(pid) - before) / TICKS_PER_SECOND / seconds;
  record({
    what: "an idle Linux's share of a core, its agent included",
    share,
    target: 'share < 0.02',
  });
}

/** An agent that gave its guest away waits for it from now on. */
async function listenAt(client) {
  await client.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' });
  const { 'socket-address': addresses } = await client.execute('query-migrate');
  return `tcp:${addresses[0].host}:${addresses[0].port}`;
}

/** There and back between two processes; of the guest's own view. */
async function downtimes(init, expected, hops, record, target) {
  const image = await linuxImage(process.env);
  const pair = await LinuxPair.start({ image, ram: RAM, append: `sterna_init=${init}` });
  const samples = { guestMs: [], downtimeMs: [], totalMs: [] };
  try {
    await pair.source.until(expected, 120_000);
    if (init === 'idle') await idleUse(pair, record);
    const { sourceQmp, destinationQmp } = pair.agents;
    let [from, to] = [sourceQmp, destinationQmp];
    let [uri, back] = [pair.agents.uri];
    for (let hop = 0; hop < hops; hop += 1) {
      const info = await migrate(from, uri);
      const ours = info['x-sterna'];
      if (ours.verify.status !== 'identical') throw new Error(`RAM is ${ours.verify.status}`);
      samples.guestMs.push(ours['guest-downtime-us'] / 1000);
      samples.downtimeMs.push(info.downtime);
      samples.totalMs.push(info['total-time']);
      back ??= await listenAt(from);
      [from, to] = [to, from];
      [uri, back] = [back, uri];
    }
    const printed = pair.source.text + pair.destination.text;
    if (/BAD/.test(printed)) throw new Error('The load inside the guest failed');
  } finally {
    await pair.close();
  }
  record({
    what: `guest-observed downtime of Linux, 256 MiB, ${init}, ms`,
    hops,
    guestDowntimeMs: summary(samples.guestMs),
    downtimeMs: summary(samples.downtimeMs),
    totalMs: summary(samples.totalMs),
    target,
  });
}

export const riscv = {
  name: 'riscv',
  async run({ smoke, record }) {
    await pauses(record, smoke);
    if (smoke) return;
    await boot(record);
    await downtimes('idle', /sterna: idle ready/, 50, record, 'p99 <= 15');
    await downtimes('redis-load', /load \d+ ok/, 50, record, 'p99 <= 40');
  },
};
