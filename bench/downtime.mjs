// 4. Guest-observed downtime of an idle guest, over a chain of hops, for a small and a large RAM.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summary } from '../dist/experiments/measuring/index.js';
import { booted, migrate, startDestination, startSource } from './migration.mjs';

/** Migrates `hops` times; each destination becomes the next source. `how` goes to each migrate(). */
export async function chain(ram, workload, hops, how = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'sterna-bench-'));
  const samples = { guestMs: [], downtimeMs: [], parts: {} };
  let agent = await startSource(directory, '--ram', ram, '--workload', workload);
  try {
    for (let hop = 0; hop < hops; hop += 1) {
      const next = await startDestination(directory);
      const client = await agent.connect();
      await booted(client);
      const info = await migrate(client, next.ready.listen, how);
      client.close();
      await agent.stop();
      agent = next;
      const ours = info['x-sterna'];
      if (ours.verify.status !== 'identical') throw new Error(`RAM is ${ours.verify.status}`);
      samples.guestMs.push(ours['guest-downtime-us'] / 1000);
      samples.downtimeMs.push(info.downtime);
      for (const [part, ms] of Object.entries(ours['downtime-parts'])) {
        samples.parts[part] ??= [];
        samples.parts[part].push(ms);
      }
    }
  } finally {
    await agent.stop();
    await rm(directory, { recursive: true, force: true });
  }
  return samples;
}

export const downtime = {
  name: 'downtime',
  async run({ smoke, record }) {
    const hops = smoke ? 2 : 50;
    const cases = smoke
      ? [['64M', '48M']]
      : [
          ['64M', '48M'],
          ['4G', '48M'],
          ['4G', '1G', 5],
        ];
    for (const [ram, fill, fewer] of cases) {
      const { guestMs, downtimeMs, parts } = await chain(ram, `idle,fill=${fill}`, fewer ?? hops);
      record({
        what: 'guest-observed downtime of an idle guest, ms',
        ram,
        fill,
        guestDowntimeMs: summary(guestMs),
        downtimeMs: summary(downtimeMs),
        partsP50: Object.fromEntries(
          Object.entries(parts).map(([part, values]) => [part, summary(values).p50]),
        ),
        target: 'p50 <= 5, p99 <= 20',
      });
    }
  },
};
