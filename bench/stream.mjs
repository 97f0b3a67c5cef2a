// 1. The whole stream: noise, idle guest, loopback, two processes, page hashes on; as a ratio to the bare pair.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summary } from '../dist/experiments/measuring/index.js';
import { measureBarePair } from './bare-pair.mjs';
import { booted, migrate, startDestination, startSource } from './migration.mjs';

async function once(ram, prealloc) {
  const directory = await mkdtemp(join(tmpdir(), 'sterna-bench-'));
  const agents = [];
  try {
    const source = await startSource(directory, '--ram', ram, '--workload', `idle,fill=${ram}`);
    agents.push(source);
    const destination = await startDestination(directory, ...(prealloc ? ['--prealloc', ram] : []));
    agents.push(destination);
    const client = await source.connect();
    await booted(client);
    const info = await migrate(client, destination.ready.listen);
    client.close();
    const [pass] = info['x-sterna'].passes;
    return {
      bytesPerSecond: pass['effective-bytes-per-second'],
      verify: info['x-sterna'].verify.status,
      totalMs: info['total-time'],
    };
  } finally {
    for (const agent of agents) await agent.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

export const stream = {
  name: 'stream',
  async run({ smoke, record }) {
    const ram = smoke ? '64M' : '1G';
    const rounds = smoke ? 1 : 5;
    const bareBytes = smoke ? 2 ** 28 : 3 * 2 ** 30;
    await measureBarePair(bareBytes);
    for (const prealloc of [true, false]) {
      const ratios = [];
      const rates = [];
      for (let round = 0; round < rounds; round += 1) {
        const before = await measureBarePair(bareBytes);
        const result = await once(ram, prealloc);
        const after = await measureBarePair(bareBytes);
        if (result.verify !== 'identical') throw new Error(`RAM is ${result.verify}`);
        rates.push(result.bytesPerSecond / 1e9);
        ratios.push(result.bytesPerSecond / ((before + after) / 2));
      }
      record({
        what: 'first pass, guest bytes per second over bare pair',
        ram,
        destinationMemory: prealloc ? 'preallocated' : 'fresh',
        ratio: summary(ratios),
        gigabytesPerSecond: summary(rates),
        ...(prealloc ? { target: 'ratio >= 0.40' } : {}),
      });
    }
  },
};
