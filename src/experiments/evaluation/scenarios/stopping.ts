import { median, spread } from '../../measuring/index.ts';
import { allIdentical, change, holds, percentChange } from '../judge.ts';
import type { MigrationSpec, Scenario } from '../scenario.ts';
import { SLOW_LINK } from './precopy-pair.ts';

export const smartStop: Scenario = {
  number: 16,
  name: 'smart-stop',
  title: 'A writer that never converges: when to stop',
  source: 'ITC-LM, 2013',
  published: 'data -50.33 % on average without loss of downtime',
  criterion: 'data at least -30 %, downtime at most +20 %',
  baseline: 'timeout',
  improved: 'auto',
  settings:
    '48 MiB, 16 MiB hot, dirtied at 2.0 x the link of 12.5 MB/s; suspended after 20 s by policy qemu, by that time at the latest by policy auto; neither compresses',
  repetitions: 5,
  variants({ smoke }) {
    const spec: MigrationSpec = {
      ram: smoke ? '16M' : '48M',
      workload: smoke
        ? 'memwrite,fill=12M,hot=4M,rate=6000,words=8,step=512'
        : 'memwrite,fill=40M,hot=16M,rate=6000,words=8,step=512',
      linkBytesPerSecond: SLOW_LINK,
    };
    const parameters = {
      'downtime-limit': 30,
      'x-timeout': smoke ? 4_000 : 20_000,
      'x-timeout-action': 'suspend',
      'x-reorder': 'off',
    };
    return {
      timeout: { ...spec, parameters: { ...parameters, 'x-policy': 'qemu' } },
      auto: { ...spec, parameters: { ...parameters, 'x-policy': 'auto' } },
    };
  },
  judge(runs) {
    const [plain, auto] = [runs('timeout'), runs('auto')];
    const data = percentChange(plain, auto, 'sentBytes');
    const downtime = percentChange(plain, auto, 'downtimeMs');
    const isWhole = allIdentical(plain, auto);
    return {
      ours: `data ${change(plain, auto, 'sentBytes')}; downtime ${change(plain, auto, 'downtimeMs')}`,
      direction: holds(data < 0 && isWhole),
      ratio: holds(data <= -30 && downtime <= 20 && isWhole),
    };
  },
};

const DEADLINE_MS = 10_000;

export const deadline: Scenario = {
  number: 22,
  name: 'deadline',
  title: 'Ending at a deadline',
  source: 'Zheng et al. (Pacer), 2013',
  published: 'finishes on time; exact figures not found',
  criterion: 'ends within 10 % of the deadline of 10 s',
  baseline: 'unlimited',
  improved: 'deadline',
  settings:
    '64 MiB over 12.5 MB/s, 8 MiB hot, dirtied at 1.3 x the link; without one, and with a deadline of 10 s by which post-copy is to have ended',
  repetitions: 3,
  variants({ smoke }) {
    const spec: MigrationSpec = {
      ram: smoke ? '16M' : '64M',
      workload: smoke
        ? 'memwrite,fill=12M,hot=4M,rate=4000,words=8,step=512'
        : 'memwrite,fill=56M,hot=8M,rate=4000,words=8,step=512',
      linkBytesPerSecond: SLOW_LINK,
      capabilities: ['postcopy-ram'],
    };
    const parameters = { 'downtime-limit': 30, 'x-reorder': 'off' };
    const late = { 'x-timeout': 25_000, 'x-timeout-action': 'suspend', 'x-policy': 'qemu' };
    return {
      unlimited: { ...spec, parameters: { ...parameters, ...late } },
      deadline: {
        ...spec,
        parameters: {
          ...parameters,
          'x-mode': 'hybrid',
          'x-postcopy-after-passes': 0,
          'x-postcopy-plateau': 'off',
          'x-timeout': smoke ? 3_000 : DEADLINE_MS,
          'x-timeout-action': 'postcopy',
        },
      },
    };
  },
  judge(runs) {
    const off = (variant: string) =>
      runs(variant).map(({ totalMs }) => (totalMs / DEADLINE_MS - 1) * 100);
    const [plain, limited] = [off('unlimited'), off('deadline')];
    const [late, onTime] = [median(plain.map(Math.abs)), median(limited.map(Math.abs))];
    return {
      ours: `off the deadline by ${spread(plain)} % -> ${spread(limited)} %`,
      direction: holds(onTime < late),
      ratio: holds(onTime <= 10 && allIdentical(runs('deadline'))),
    };
  },
};
