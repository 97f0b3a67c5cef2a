// How long a vCPU waits for a page: with nothing else on the link, behind the push that saturates it, and over links of
// 125 and 12.5 MB/s; on one connection, and with postcopy-preempt. The guest touches pages at random, as often as it can.

import { kernelShapes } from '../../dist/experiments/measuring/index.js';
import { until } from '../migration.mjs';
import { measureBareTrip } from './bare-trip.mjs';
import { runOverKernelLink } from './kernel-link.mjs';
import { faultsOf, postcopyRun } from './run.mjs';

/** Of pages that nobody waits for: next to nothing, in bytes per second. */
const TRICKLE = 4096;
const WAYS = { 'one connection': [], preempt: ['postcopy-preempt'] };

async function untilFaults(client, count) {
  // The source may know before the destination has told its own control plane.
  const seen = (info) => (info['x-sterna']?.postcopy?.requests ?? 0) >= count;
  return faultsOf(await until(client, seen, { everyMs: 50 }));
}

/** Of so many faults while nothing is pushed; then the rest may come. */
async function withoutPush(ram, capabilities, count) {
  const { observed } = await postcopyRun({
    ram,
    workload: `memwrite,fill=${ram},pattern=random,rate=4000`,
    capabilities,
    parameters: { 'max-postcopy-bandwidth': TRICKLE },
    during: async ({ sourceQmp, destinationQmp }) => {
      const faults = await untilFaults(destinationQmp, count);
      await sourceQmp.execute('migrate-set-parameters', { 'max-postcopy-bandwidth': 0 });
      return faults;
    },
  });
  return observed;
}

async function withPush(ram, capabilities, linkBytesPerSecond) {
  const workload = `memwrite,fill=${ram},pattern=random,rate=40000`;
  const spec = { ram, workload, capabilities, prealloc: true };
  if (linkBytesPerSecond !== undefined && kernelShapes()) {
    return { ...runOverKernelLink(linkBytesPerSecond, spec), shapedBy: 'kernel' };
  }
  const { destination } = await postcopyRun({ ...spec, linkBytesPerSecond });
  const shapedBy = linkBytesPerSecond === undefined ? undefined : 'process';
  return { ...faultsOf(destination), shapedBy };
}

const median = (runs) => runs.sort((one, other) => one.p50Us - other.p50Us)[runs.length >> 1];

export async function faults({ smoke, record }) {
  const rounds = smoke ? 1 : 3;
  const large = smoke ? '64M' : '1G';
  const cases = [
    ['nothing is pushed', (way) => withoutPush('256M', way, smoke ? 200 : 3000), '120 / 500 us'],
    ['the push saturates loopback', (way) => withPush(large, way), '350 / 1500 us'],
    ['125 MB/s', (way) => withPush(smoke ? '32M' : '256M', way, 125e6), 'p99 <= 4033 us'],
    ['12.5 MB/s', (way) => withPush(smoke ? '16M' : '64M', way, 12.5e6), 'p99 <= 4328 us'],
  ];
  for (const [link, measure, target] of cases) {
    for (const [way, capabilities] of Object.entries(WAYS)) {
      const bare = await measureBareTrip(smoke ? 200 : 2000);
      const runs = [];
      for (let round = 0; round < rounds; round += 1) runs.push(await measure(capabilities));
      const faults = median(runs);
      record({
        what: 'time that a vCPU waits for a page, us; the run with the median p50',
        link,
        way,
        ...faults,
        runs: runs.map(({ p50Us, p99Us }) => ({ p50Us, p99Us })),
        bareTripUs: { p50: bare.p50, p99: bare.p99 },
        p50OverBareTrip: Number((faults.p50Us / bare.p50).toFixed(2)),
        target: `p50 / p99 ${target}`,
      });
    }
  }
}
