// How fast pages go that nobody waits for, as a ratio to the first pass of pre-copy, in turns in the same run; and how
// much goes in all.
import { parseBytes } from '../../dist/base/index.js';
import { summary } from '../../dist/experiments/measuring/index.js';
import { postcopyRun } from './run.mjs';

async function once(ram, parameters) {
  const workload = `idle,fill=${ram}`;
  const { source } = await postcopyRun({ ram, workload, parameters, prealloc: true });
  return source;
}

/** Guest bytes per second from the moment at which the guest ran there. */
function pushRate(info, bytes) {
  const ours = info['x-sterna'];
  return (bytes * 1000) / ours.postcopy['duration-ms'];
}

export async function push({ smoke, record }) {
  const ram = smoke ? '64M' : '1G';
  const bytes = parseBytes(ram);
  const ratios = [];
  const rates = [];
  const shares = [];
  for (let round = 0; round < (smoke ? 1 : 5); round += 1) {
    const precopy = await once(ram, { 'x-mode': 'precopy' });
    const postcopy = await once(ram, {});
    const rate = pushRate(postcopy, bytes);
    rates.push(rate / 1e9);
    ratios.push(rate / precopy['x-sterna'].passes[0]['effective-bytes-per-second']);
    const { ram: counters } = postcopy;
    const sent =
      counters['precopy-bytes'] + counters['downtime-bytes'] + counters['postcopy-bytes'];
    shares.push(sent / bytes);
  }
  record({
    what: 'push of an idle guest over the first pass of pre-copy, both --prealloc',
    ram,
    ratio: summary(ratios),
    gigabytesPerSecond: summary(rates),
    sentBytesOverRam: summary(shares, 4),
    target: 'ratio >= 0.8, sent <= 1.02 x RAM',
  });
}
