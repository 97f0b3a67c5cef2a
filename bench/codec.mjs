// 11. LZ4 never makes a migration slower: total time with x-codec=auto over that with none, in turns, from a slow link to
// the bare loopback, for RAM that gets shorter and for RAM that does not.
import { AgentPair } from '../dist/experiments/index.js';
import { median } from '../dist/experiments/measuring/index.js';
import { booted, migrate } from './migration.mjs';
import { shapedLink } from './postcopy/run.mjs';

const MIB = 2 ** 20;
const LINKS = [
  { name: '10 Mbit/s', bytesPerSecond: 1.25e6, ramMib: 32, fillMib: 12, runs: 1 },
  { name: '100 Mbit/s', bytesPerSecond: 12.5e6, ramMib: 128, fillMib: 64, runs: 3 },
  { name: '1 Gbit/s', bytesPerSecond: 125e6, ramMib: 384, fillMib: 320, runs: 5 },
  { name: 'loopback', bytesPerSecond: undefined, ramMib: 768, fillMib: 700, runs: 9 },
];
const SMOKE = [
  { name: '100 Mbit/s', bytesPerSecond: 12.5e6, ramMib: 32, fillMib: 8, runs: 1 },
  { name: 'loopback', bytesPerSecond: undefined, ramMib: 32, fillMib: 8, runs: 1 },
];

async function once({ ramMib, fillMib, bytesPerSecond }, content, codec) {
  const workload = `idle,fill=${fillMib}M,content=${content}`;
  const pair = await AgentPair.start({ ram: `${ramMib}M`, workload });
  let link;
  try {
    await booted(pair.sourceQmp);
    if (bytesPerSecond !== undefined) link = await shapedLink(pair.uri, bytesPerSecond);
    const parameters = { 'x-codec': codec };
    const info = await migrate(pair.sourceQmp, link?.uri ?? pair.uri, { parameters });
    if (info.status !== 'completed') throw new Error(JSON.stringify(info.error ?? info.status));
    return info;
  } finally {
    await pair.close();
    await link?.close();
  }
}

export const codec = {
  name: 'codec',
  async run({ smoke, record }) {
    for (const link of smoke ? SMOKE : LINKS) {
      for (const content of ['noise', 'text']) {
        const plain = [];
        const auto = [];
        // In turns: a host that is busy for a while is busy for both.
        for (let run = 0; run < link.runs; run += 1) {
          plain.push(await once(link, content, 'none'));
          auto.push(await once(link, content, 'auto'));
        }
        const totalMs = (infos) => median(infos.map((info) => info['total-time']));
        const wireMib = (infos) => median(infos.map(({ ram }) => ram.transferred)) / MIB;
        const kinds = auto.at(-1)['x-sterna']['page-kinds'];
        record({
          what: `x-codec=auto over none, ${content}, ${link.name}`,
          link: link.name,
          content,
          noneMs: totalMs(plain),
          autoMs: totalMs(auto),
          ratio: Number((totalMs(auto) / totalMs(plain)).toFixed(3)),
          pairRatios: auto.map((info, run) =>
            Number((info['total-time'] / plain[run]['total-time']).toFixed(3)),
          ),
          bytesRatio: Number((wireMib(auto) / wireMib(plain)).toFixed(3)),
          lz4Pages: kinds.lz4.pages,
          rawPages: kinds.raw.pages,
          target: content === 'noise' || link.name === 'loopback' ? '<= 1.03' : '< 0.7',
        });
      }
    }
  },
};
