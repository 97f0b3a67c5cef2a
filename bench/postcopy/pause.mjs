// Guest-observed downtime of post-copy: small and large RAM; a guest that idles, that only reads, and that writes.

import { summary } from '../../dist/experiments/measuring/index.js';
import { chain } from '../downtime.mjs';

const LOADS = {
  idle: 'idle,fill=48M',
  reading: 'memwrite,fill=48M,hot=16M,rate=4000,read=100',
  writing: 'memwrite,fill=48M,hot=16M,rate=4000',
};

export async function pause({ smoke, record }) {
  const how = { parameters: { 'x-mode': 'postcopy' }, capabilities: ['postcopy-ram'] };
  for (const ram of smoke ? ['64M'] : ['64M', '4G']) {
    const medians = [];
    for (const [load, workload] of Object.entries(LOADS)) {
      const { guestMs, parts } = await chain(ram, workload, smoke ? 2 : 10, how);
      const downtime = summary(guestMs);
      medians.push(downtime.p50);
      record({
        what: 'guest-observed downtime of post-copy, ms',
        ram,
        load,
        guestDowntimeMs: downtime,
        partsP50: Object.fromEntries(
          Object.entries(parts).map(([part, values]) => [part, summary(values).p50]),
        ),
        target: 'p50 <= 8',
      });
    }
    record({
      what: 'downtime of post-copy over loads: largest over smallest median',
      ram,
      ratio: Number((Math.max(...medians) / Math.min(...medians)).toFixed(2)),
      target: 'ratio <= 3',
    });
  }
}
