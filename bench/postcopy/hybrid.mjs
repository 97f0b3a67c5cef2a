// One pass of pre-copy, then post-copy, against each alone: faults and data of a guest that writes faster than the link
// carries it, and of one that mostly reads. Pre-copy alone needs XBZRLE to end at all.
import { AgentPair } from '../../dist/experiments/index.js';
import { booted, migrate } from '../migration.mjs';
import { postcopyRun } from './run.mjs';

/**
 * All of the hot range is dirty again when the pass is over, and the guest goes through it: a pass saves nothing there,
 * unless what is missing comes as deltas of what the pass brought. Where most of what is touched is seldom written, it does.
 */
const FULL = [
  { ram: '1G', workload: 'memwrite,fill=900M,hot=256M,rate=60000,words=8,step=512' },
  { ram: '1G', workload: 'memwrite,fill=900M,pattern=zipf,rate=20000,words=8,step=512,read=50' },
];
const SMALL = [
  { ram: '64M', workload: 'memwrite,fill=48M,hot=16M,rate=4000,words=8,step=512' },
  { ram: '64M', workload: 'memwrite,fill=48M,pattern=zipf,rate=4000,words=8,step=512,read=50' },
];

const sentBytes = ({ ram }) => ram['precopy-bytes'] + ram['downtime-bytes'] + ram['postcopy-bytes'];

async function precopyBytes(guest, limit, cacheBytes) {
  const pair = await AgentPair.start(guest);
  try {
    await booted(pair.sourceQmp);
    const parameters = { 'x-mode': 'precopy', 'max-bandwidth': limit };
    return sentBytes(
      await migrate(pair.sourceQmp, pair.uri, {
        parameters: { ...parameters, 'xbzrle-cache-size': cacheBytes },
        xbzrle: true,
      }),
    );
  } finally {
    await pair.close();
  }
}

export async function hybrid({ smoke, record }) {
  for (const guest of smoke ? SMALL : FULL) await compare(guest, smoke, record);
}

async function compare(guest, smoke, record) {
  const limit = smoke ? 12_500_000 : 125_000_000;
  const cacheBytes = (smoke ? 16 : 512) * 2 ** 20;
  // So little that pre-copy alone does not end before post-copy begins.
  const limits = {
    'max-bandwidth': limit,
    'max-postcopy-bandwidth': limit,
    'downtime-limit': 5,
  };
  const modes = {
    postcopy: { 'x-mode': 'postcopy' },
    hybrid: { 'x-mode': 'hybrid', 'x-postcopy-after-passes': 1 },
    hybridWithXbzrle: {
      'x-mode': 'hybrid',
      'x-postcopy-after-passes': 1,
      'xbzrle-cache-size': cacheBytes,
    },
  };
  const results = {};
  for (const [mode, parameters] of Object.entries(modes)) {
    const { source, destination } = await postcopyRun({
      ...guest,
      parameters: { ...limits, ...parameters },
      capabilities: 'xbzrle-cache-size' in parameters ? ['xbzrle'] : [],
    });
    const { postcopy } = destination['x-sterna'];
    results[mode] = {
      faults: postcopy.requests,
      bytes: sentBytes(source),
      blockedMs: postcopy['blocktime-ms'],
      guestDowntimeMs: source['x-sterna']['guest-downtime-us'] / 1000,
      totalMs: source['total-time'],
    };
  }
  const ratio = (mode) => Number((results[mode].faults / results.postcopy.faults).toFixed(3));
  record({
    what: `${guest.workload} at ${limit / 1e6} MB/s: post-copy, and after one pass`,
    ...results,
    precopyWithXbzrleBytes: await precopyBytes(guest, limit, cacheBytes),
    faultRatio: ratio('hybrid'),
    faultRatioWithXbzrle: ratio('hybridWithXbzrle'),
    target: 'fault ratio <= 0.33, data between those of post-copy and pre-copy',
  });
}
