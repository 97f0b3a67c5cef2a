import { rounded } from '../../measuring/index.ts';
import { allIdentical, change, holds, middle, percentChange, reduction } from '../judge.ts';
import type { Scenario } from '../scenario.ts';
import { sized, varied } from './precopy-pair.ts';

const RAM_BYTES = 96 * 2 ** 20;

export const zeroAware: Scenario = {
  number: 17,
  name: 'compression',
  title: 'Compression of memory that is half zeros',
  source: 'Jin et al. (MECOM), 2009',
  published: 'downtime -27.1 %, total time -32 %, data -68.8 %, against Xen',
  criterion: 'data at least -50 %; downtime and total time fall',
  baseline: 'none',
  improved: 'codec',
  settings:
    '96 MiB, half of it text, 4 MiB hot at 0.8 x the link of 12.5 MB/s; x-codec none and all; zero pages are never sent whole, with neither',
  repetitions: 5,
  variants(size) {
    const hot = (fill: string, hotBytes: string) =>
      `memwrite,fill=${fill},content=text,hot=${hotBytes},rate=2500,words=8,step=512`;
    const spec = sized(
      size,
      { ram: '16M', workload: hot('8M', '2M') },
      { ram: '96M', workload: hot('48M', '4M') },
    );
    const parameters = {
      'downtime-limit': 300,
      'x-policy': 'qemu',
      'x-reorder': 'off',
      'x-timeout': 15_000,
      'x-timeout-action': 'suspend',
    };
    return varied(spec, parameters, { none: { 'x-codec': 'none' }, codec: { 'x-codec': 'all' } });
  },
  judge(runs) {
    const [plain, codec] = [runs('none'), runs('codec')];
    const data = percentChange(plain, codec, 'sentBytes');
    const total = percentChange(plain, codec, 'totalMs');
    const downtime = percentChange(plain, codec, 'downtimeMs');
    const againstRaw = (middle(codec, 'sentBytes') / RAM_BYTES - 1) * 100;
    const isWhole = allIdentical(plain, codec);
    return {
      ours: `data ${change(plain, codec, 'sentBytes')}; total ${change(plain, codec, 'totalMs')}; downtime ${reduction(plain, codec, 'downtimeMs')}`,
      direction: holds(data < 0 && total < 0 && downtime < 0 && isWhole),
      ratio: holds(data <= -50 && isWhole),
      note: `against a single raw copy of all RAM the data is ${rounded(againstRaw)} %`,
    };
  },
};
