// 6. A guest that writes faster than the link: with XBZRLE it arrives, without it cannot. And: is the limit kept?
import { AgentPair } from '../dist/experiments/index.js';
import { booted, migrate } from './migration.mjs';

const LINK = 125_000_000;
/** The noise that the guest holds: what has to be sent at least. */
const FILL = { small: 48 * 2 ** 20, whole: 900 * 2 ** 20 };
const RUNS = 3;

const workloadOf = (smoke) =>
  smoke
    ? 'memwrite,fill=48M,hot=16M,rate=4000,words=8,step=512'
    : 'memwrite,fill=900M,hot=256M,rate=60000,words=8,step=512';

async function once(smoke, xbzrle, timeoutMs) {
  const pair = await AgentPair.start({ ram: smoke ? '64M' : '1G', workload: workloadOf(smoke) });
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

function figuresOf(info, smoke) {
  const ours = info['x-sterna'];
  const [first] = ours.passes;
  const sentBytes = info.ram?.transferred;
  return {
    status: info.status,
    totalMs: info['total-time'],
    downtimeMs: info.downtime,
    guestDowntimeMs: (ours['guest-downtime-us'] ?? Number.NaN) / 1000,
    passes: ours.passes.length,
    sentBytes,
    sentOverNoise: Number((sentBytes / (smoke ? FILL.small : FILL.whole)).toFixed(3)),
    firstPassBytesPerSecond: first && (first['sent-bytes'] * 1000) / first['duration-ms'],
    verify: ours.verify.status,
  };
}

export const converge = {
  name: 'converge',
  async run({ smoke, record }) {
    for (const xbzrle of [true, false]) {
      for (let run = 0; run < (xbzrle && !smoke ? RUNS : 1); run += 1) {
        record({
          what: `${workloadOf(smoke)} at ${(smoke ? 12_500_000 : LINK) / 1e6} MB/s`,
          xbzrle,
          ...figuresOf(await once(smoke, xbzrle, smoke ? 10_000 : 20_000), smoke),
          target: xbzrle
            ? 'totalMs <= 8500, sentOverNoise <= 1.06, guestDowntimeMs <= 20'
            : 'does not complete',
        });
      }
    }
  },
};
