// 6. A guest that writes faster than the link: with XBZRLE it arrives, without it cannot. And: is the limit kept?
import { AgentPair } from '../dist/experiments/index.js';
import { booted, migrate } from './migration.mjs';

const LINK = 125_000_000;

async function once(smoke, xbzrle, timeoutMs) {
  const workload = smoke
    ? 'memwrite,fill=48M,hot=16M,rate=4000,words=8,step=512'
    : 'memwrite,fill=900M,hot=256M,rate=60000,words=8,step=512';
  const pair = await AgentPair.start({ ram: smoke ? '64M' : '1G', workload });
  try {
    const parameters = {
      'max-bandwidth': smoke ? 12_500_000 : LINK,
      'xbzrle-cache-size': (smoke ? 16 : 512) * 2 ** 20,
      'x-timeout': timeoutMs,
      'x-timeout-action': 'cancel',
    };
    await booted(pair.sourceQmp);
    return await migrate(pair.sourceQmp, pair.uri, { parameters, xbzrle });
  } finally {
    await pair.close();
  }
}

export const converge = {
  name: 'converge',
  async run({ smoke, record }) {
    for (const xbzrle of [true, false]) {
      const info = await once(smoke, xbzrle, smoke ? 10_000 : 20_000);
      const ours = info['x-sterna'];
      const [first] = ours.passes;
      record({
        what: 'memwrite,fill=900M,hot=256M,rate=60000,words=8,step=512 at 125 MB/s',
        xbzrle,
        status: info.status,
        totalMs: info['total-time'],
        downtimeMs: info.downtime,
        guestDowntimeMs: (ours['guest-downtime-us'] ?? Number.NaN) / 1000,
        passes: ours.passes.length,
        transferredBytes: info.ram?.transferred,
        firstPassBytesPerSecond: first && (first['sent-bytes'] * 1000) / first['duration-ms'],
        verify: ours.verify.status,
        ...(xbzrle
          ? { target: 'completed, totalMs < 11000, downtimeMs < 50' }
          : { target: 'does not complete' }),
      });
    }
  },
};
