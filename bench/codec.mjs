// 11. LZ4 never makes a migration slower: total time with x-codec=auto over that with none, in turns, from a slow link to
// the bare loopback, for RAM that gets shorter, for RAM that does not, and for runs of both. Takes about five minutes.
import { AgentPair } from '../dist/experiments/index.js';
import { median } from '../dist/experiments/measuring/index.js';
import { booted, migrate } from './migration.mjs';
import { shapedLink } from './postcopy/run.mjs';

const CONTENTS = ['noise', 'text', 'mixed'];
const LINKS = [
  { name: '10 Mbit/s', bytesPerSecond: 1.25e6, ramMib: 32, fillMib: 6, runs: 1 },
  { name: '100 Mbit/s', bytesPerSecond: 12.5e6, ramMib: 64, fillMib: 32, runs: 2 },
  { name: '1 Gbit/s', bytesPerSecond: 125e6, ramMib: 256, fillMib: 192, runs: 4 },
  { name: '4 Gbit/s', bytesPerSecond: 500e6, ramMib: 512, fillMib: 400, runs: 3 },
  { name: 'loopback', bytesPerSecond: undefined, ramMib: 512, fillMib: 400, runs: 7 },
];
const SMOKE = [
  { name: '100 Mbit/s', bytesPerSecond: 12.5e6, ramMib: 32, fillMib: 8, runs: 1 },
  { name: 'loopback', bytesPerSecond: undefined, ramMib: 32, fillMib: 8, runs: 1 },
];
/** Where nothing can be gained, so little may be lost. */
const RATIO_MAX = 1.03;

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

/** Both codecs in turns, each as often the first one: a host that is busy for a while is busy for both. */
async function inTurns(link, content) {
  const infos = { none: [], auto: [] };
  for (let run = 0; run < link.runs; run += 1) {
    const codecs = run % 2 === 0 ? ['none', 'auto'] : ['auto', 'none'];
    for (const codec of codecs) infos[codec].push(await once(link, content, codec));
  }
  return infos;
}

function compare(link, content, { none, auto }) {
  const totalMs = (infos) => median(infos.map((info) => info['total-time']));
  const wireBytes = (infos) => median(infos.map(({ ram }) => ram.transferred));
  const round = (value) => Number(value.toFixed(3));
  const pairRatios = auto.map((info, run) => round(info['total-time'] / none[run]['total-time']));
  const kinds = auto.at(-1)['x-sterna']['page-kinds'];
  const ratio = round(totalMs(auto) / totalMs(none));
  const isSlow = link.bytesPerSecond !== undefined && link.bytesPerSecond <= 125e6;
  const max = content === 'text' && isSlow ? 0.7 : RATIO_MAX;
  return {
    what: `x-codec=auto over none, ${content}, ${link.name}`,
    link: link.name,
    content,
    noneMs: totalMs(none),
    autoMs: totalMs(auto),
    ratio,
    pairRatio: median(pairRatios),
    pairRatios,
    bytesRatio: round(wireBytes(auto) / wireBytes(none)),
    lz4Pages: kinds.lz4.pages,
    rawPages: kinds.raw.pages,
    target: `<= ${max}`,
    met: ratio <= max,
  };
}

export const codec = {
  name: 'codec',
  async run({ smoke, record }) {
    for (const link of smoke ? SMOKE : LINKS) {
      for (const content of CONTENTS) record(compare(link, content, await inTurns(link, content)));
    }
  },
};
