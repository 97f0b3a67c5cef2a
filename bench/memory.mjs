// 5. What a migration costs beside RAM and cache, and per GiB of RAM.
import { readFileSync } from 'node:fs';
import { AgentPair } from '../dist/experiments/index.js';
import { booted, migrate } from './migration.mjs';

function residentBytes(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

async function once(ram, fill) {
  const pair = await AgentPair.start({ ram, workload: `idle,fill=${fill}` });
  try {
    await booted(pair.sourceQmp);
    const before = residentBytes(pair.source.pid);
    let peak = before;
    const info = await migrate(pair.sourceQmp, pair.uri, {
      onProgress: () => {
        peak = Math.max(peak, residentBytes(pair.source.pid));
      },
    });
    if (info['x-sterna'].verify.status !== 'identical') throw new Error('RAM differs');
    return {
      sourceBytes: before,
      sourceExtraBytes: peak - before,
      destinationBytes: residentBytes(pair.destination.pid),
      totalMs: info['total-time'],
    };
  } finally {
    await pair.close();
  }
}

export const memory = {
  name: 'memory',
  async run({ smoke, record }) {
    const sparse = smoke
      ? [['64M', '16M']]
      : [
          ['256M', '100M'],
          ['1G', '100M'],
          ['4G', '100M'],
          ['8G', '100M'],
          ['16G', '100M'],
        ];
    for (const [ram, fill] of sparse) {
      const result = await once(ram, fill);
      record({
        what: 'resident memory, sparse guest',
        ram,
        fill,
        sourceMiB: Math.round(result.sourceBytes / 2 ** 20),
        extraMiB: Number((result.sourceExtraBytes / 2 ** 20).toFixed(1)),
        destinationMiB: Math.round(result.destinationBytes / 2 ** 20),
        totalMs: result.totalMs,
        target: 'extraMiB <= 64',
      });
    }
    if (smoke) return;
    for (const gibibytes of [0.25, 1, 4, 8]) {
      const ram = `${gibibytes * 1024}M`;
      const result = await once(ram, ram);
      record({
        what: 'cost per GiB, full guest',
        ram,
        totalMs: result.totalMs,
        msPerGiB: Math.round(result.totalMs / gibibytes),
        extraMiB: Math.round(result.sourceExtraBytes / 2 ** 20),
      });
    }
  },
};
