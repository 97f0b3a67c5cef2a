// What the order of the push is worth: faults of a guest that walks through its memory, when pages go outward from its
// faults and when they go ascending; at 125 MB/s, as in Hines and Gopalan 2009.
import { postcopyRun } from './run.mjs';

async function once(smoke, order) {
  // All of RAM: a smaller range lies at its beginning, which is where ascending begins.
  const [ram, rate, link] = smoke ? ['64M', 4000, 25e6] : ['512M', 20_000, 125e6];
  const { destination } = await postcopyRun({
    ram,
    workload: `memwrite,fill=${ram},hot=${ram},pattern=walk,rate=${rate}`,
    parameters: { 'max-postcopy-bandwidth': link, 'x-postcopy-order': order },
  });
  const { requests, missing } = destination['x-sterna'].postcopy;
  return { requests, missing };
}

export async function order({ smoke, record }) {
  const counts = { bubbling: [], sequential: [] };
  let pages = 0;
  for (let round = 0; round < (smoke ? 1 : 3); round += 1) {
    for (const [name, list] of Object.entries(counts)) {
      const { requests, missing } = await once(smoke, name);
      list.push(requests);
      pages = missing;
    }
  }
  const sum = (list) => list.reduce((total, count) => total + count, 0);
  const share = sum(counts.bubbling) / (counts.bubbling.length * pages);
  record({
    what: 'faults of a guest that walks through its RAM, 1 page in 256 anywhere',
    bubbling: counts.bubbling,
    sequential: counts.sequential,
    ratio: Number((sum(counts.bubbling) / sum(counts.sequential)).toFixed(3)),
    shareOfMissingPages: Number(share.toFixed(4)),
    target: 'ratio <= 0.5, share <= 0.21',
  });
}
