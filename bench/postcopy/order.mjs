// What the order of the push is worth: faults of a guest that walks through its memory, when pages go outward from its
// faults and when they go ascending; at 125 MB/s, as in Hines and Gopalan 2009.
import { postcopyRun } from './run.mjs';

const PAGE = 4096;

async function once(smoke, order) {
  const [ram, hot, rate] = smoke ? ['64M', 16 * 2 ** 20, 4000] : ['512M', 128 * 2 ** 20, 20_000];
  const { destination } = await postcopyRun({
    ram,
    workload: `memwrite,fill=${ram},hot=${hot},pattern=walk,rate=${rate}`,
    parameters: { 'max-postcopy-bandwidth': 125e6, 'x-postcopy-order': order },
  });
  const { requests } = destination['x-sterna'].postcopy;
  return { requests, workingSetPages: hot / PAGE };
}

export async function order({ smoke, record }) {
  const counts = { bubbling: [], sequential: [] };
  let pages = 0;
  for (let round = 0; round < (smoke ? 1 : 3); round += 1) {
    for (const [name, list] of Object.entries(counts)) {
      const { requests, workingSetPages } = await once(smoke, name);
      list.push(requests);
      pages = workingSetPages;
    }
  }
  const sum = (list) => list.reduce((total, count) => total + count, 0);
  const share = sum(counts.bubbling) / (counts.bubbling.length * pages);
  record({
    what: 'faults of a guest that walks through 128 MiB of 512 MiB, push at 125 MB/s',
    bubbling: counts.bubbling,
    sequential: counts.sequential,
    ratio: Number((sum(counts.bubbling) / sum(counts.sequential)).toFixed(3)),
    shareOfWorkingSet: Number(share.toFixed(4)),
    target: 'ratio <= 0.5, share <= 0.21',
  });
}
