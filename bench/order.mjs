// What ordering a pass costs where nothing limits it, and saves where a link does: x-reorder on against off, by turns.
import { AgentPair } from '../dist/experiments/index.js';
import { median, summary } from '../dist/experiments/measuring/index.js';
import { booted, migrate } from './migration.mjs';
import { ghostKernels, orderKernels } from './order-kernels.mjs';

async function once(ram, workload, parameters, xbzrle = false) {
  const pair = await AgentPair.start({ ram, workload });
  try {
    await booted(pair.sourceQmp);
    const info = await migrate(pair.sourceQmp, pair.uri, { parameters, xbzrle });
    const ours = info['x-sterna'];
    if (ours.verify.status !== 'identical') throw new Error(`RAM is ${ours.verify.status}`);
    return {
      bytesPerSecond: ours.passes[0]['effective-bytes-per-second'],
      bytes: info.ram.transferred,
      totalMs: info['total-time'],
      downtimeMs: info.downtime,
    };
  } finally {
    await pair.close();
  }
}

/** An idle guest over loopback: all that is left of the order is what it costs. */
async function cost(smoke, record) {
  const ram = smoke ? '64M' : '1G';
  const rates = { on: [], off: [] };
  for (let round = 0; round < (smoke ? 1 : 7); round += 1) {
    // First the one, then the other: whatever else the machine does hits both.
    for (const reorder of round % 2 === 0 ? ['on', 'off'] : ['off', 'on']) {
      const run = await once(ram, `idle,fill=${ram}`, { 'x-reorder': reorder });
      rates[reorder].push(run.bytesPerSecond);
    }
  }
  record({
    what: 'first pass of an idle guest, unlimited: rate with the order over rate without',
    ram,
    ratio: Number((median(rates.on) / median(rates.off)).toFixed(3)),
    gigabytesPerSecond: {
      on: summary(rates.on.map((rate) => rate / 1e9)),
      off: summary(rates.off.map((rate) => rate / 1e9)),
    },
    target: 'ratio >= 0.97',
  });
}

/** The thesis's case: few pages are written much more often than others. */
async function saving(smoke, record) {
  const [ram, link, workload] = smoke
    ? ['64M', 12_500_000, 'memwrite,fill=48M,hot=48M,pattern=zipf,rate=2000,words=8,step=512']
    : ['256M', 25_000_000, 'memwrite,fill=200M,hot=200M,pattern=zipf,rate=5000,words=8,step=512'];
  for (const xbzrle of [false, true]) {
    const runs = { on: [], off: [] };
    for (let round = 0; round < (smoke ? 1 : 3); round += 1) {
      for (const reorder of ['on', 'off']) {
        const parameters = {
          'max-bandwidth': link,
          'xbzrle-cache-size': 2 ** 27,
          'x-reorder': reorder,
          'x-timeout': smoke ? 8000 : 20_000,
          'x-timeout-action': 'suspend',
        };
        runs[reorder].push(await once(ram, workload, parameters, xbzrle));
      }
    }
    const ratio = (field) =>
      Number(
        (
          median(runs.on.map((run) => run[field])) / median(runs.off.map((run) => run[field]))
        ).toFixed(3),
      );
    record({
      what: `${workload} at ${link / 1e6} MB/s: with the order over without`,
      xbzrle,
      bytes: ratio('bytes'),
      totalMs: ratio('totalMs'),
      runs,
      target: 'bytes < 1',
    });
  }
}

export const order = {
  name: 'order',
  async run({ smoke, record }) {
    record(orderKernels(smoke));
    record(ghostKernels(smoke));
    await cost(smoke, record);
    await saving(smoke, record);
  },
};
