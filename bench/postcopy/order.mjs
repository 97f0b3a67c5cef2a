// What the order of the push is worth: faults of a guest that walks through its memory, when pages go outward from its
// faults and when they go ascending; at 125 MB/s, as in Hines and Gopalan 2009.
import { until } from '../migration.mjs';
import { postcopyRun } from './run.mjs';

async function accesses(client) {
  const { reads, writes } = await client.execute('x-guest-info');
  return reads + writes;
}

async function once(smoke, order) {
  // All of RAM: a smaller range lies at its beginning, which is where ascending begins.
  const [ram, rate, link] = smoke ? ['64M', 2000, 25e6] : ['512M', 4000, 125e6];
  const { destination, observed } = await postcopyRun({
    ram,
    workload: `memwrite,fill=${ram},hot=${ram},pattern=walk,rate=${rate}`,
    parameters: { 'max-postcopy-bandwidth': link, 'x-postcopy-order': order },
    during: async ({ destinationQmp }) => {
      const before = await accesses(destinationQmp);
      await until(destinationQmp, ({ status }) => status === 'completed');
      return { before, after: await accesses(destinationQmp) };
    },
  });
  const { requests, missing } = destination['x-sterna'].postcopy;
  // A guest that waits less touches more: what counts is how many of its accesses waited.
  return { requests, missing, accesses: observed.after - observed.before };
}

export async function order({ smoke, record }) {
  const runs = { bubbling: [], sequential: [] };
  for (let round = 0; round < (smoke ? 1 : 3); round += 1) {
    for (const [name, list] of Object.entries(runs)) list.push(await once(smoke, name));
  }
  const sum = (list, field) => list.reduce((total, run) => total + run[field], 0);
  const waited = (list) => sum(list, 'requests') / sum(list, 'accesses');
  const ratio = waited(runs.bubbling) / waited(runs.sequential);
  record({
    what: 'share of accesses that wait, of a guest that walks through its RAM; 1 in 256 goes anywhere',
    bubbling: Number(waited(runs.bubbling).toFixed(4)),
    sequential: Number(waited(runs.sequential).toFixed(4)),
    ratio: Number(ratio.toFixed(3)),
    faultRatio: Number(
      (sum(runs.bubbling, 'requests') / sum(runs.sequential, 'requests')).toFixed(3),
    ),
    runs,
    target: 'ratio and faultRatio <= 0.5',
  });
}
