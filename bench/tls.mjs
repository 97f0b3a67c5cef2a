// What encryption costs: the first pass over certificates and over a pre-shared key, as a ratio to the same pass in the
// clear, taken in turns in the same run.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summary } from '../dist/experiments/measuring/index.js';
import { keygen } from './keygen.mjs';
import { booted, migrate, startDestination, startSource } from './migration.mjs';

async function once(ram, directory, keys) {
  const state = await mkdtemp(join(directory, 'run-'));
  const agents = [];
  try {
    const workload = `idle,fill=${ram}`;
    const source = await startSource(state, '--ram', ram, '--workload', workload, ...keys);
    agents.push(source);
    const destination = await startDestination(state, '--prealloc', ram, ...keys);
    agents.push(destination);
    const client = await source.connect();
    await booted(client);
    const info = await migrate(client, destination.ready.listen);
    client.close();
    const { verify, passes } = info['x-sterna'];
    if (verify.status !== 'identical') throw new Error(`RAM is ${verify.status}`);
    return passes[0]['effective-bytes-per-second'];
  } finally {
    for (const agent of agents) await agent.stop();
  }
}

export const tls = {
  name: 'tls',
  async run({ smoke, record }) {
    const ram = smoke ? '64M' : '1G';
    const rounds = smoke ? 1 : 5;
    const directory = await mkdtemp(join(tmpdir(), 'sterna-bench-'));
    try {
      const keys = join(directory, 'keys');
      await keygen('--out', keys);
      await keygen('--out', keys, '--psk');
      const ways = {
        certificates: ['--tls-dir', keys],
        'pre-shared key': ['--psk-file', join(keys, 'keys.psk')],
      };
      const plain = [];
      const rates = { certificates: [], 'pre-shared key': [] };
      const ratios = { certificates: [], 'pre-shared key': [] };
      for (let round = 0; round < rounds; round += 1) {
        const clear = await once(ram, directory, []);
        plain.push(clear / 1e9);
        for (const [way, options] of Object.entries(ways)) {
          const rate = await once(ram, directory, options);
          rates[way].push(rate / 1e9);
          ratios[way].push(rate / clear);
        }
      }
      for (const way of Object.keys(ways)) {
        record({
          what: `first pass over TLS with ${way}, over the same in the clear`,
          ram,
          ratio: summary(ratios[way]),
          gigabytesPerSecond: summary(rates[way]),
          plainGigabytesPerSecond: summary(plain),
          target: 'ratio >= 0.45',
        });
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
