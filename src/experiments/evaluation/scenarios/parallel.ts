import { rounded } from '../../measuring/index.ts';
import { allIdentical, holds, percentChange, shown } from '../judge.ts';
import type { MigrationSpec, Scenario } from '../scenario.ts';
import type { SizedGuest } from './precopy-pair.ts';

const SEVERAL = [2, 4];
/** Connections for pages; 0: the one of the migration. */
const CONNECTIONS = [0, ...SEVERAL];
/** Each with its name, and its rate in bytes per second; undefined: bare loopback. */
const LINKS: readonly (readonly [name: string, bytesPerSecond: number | undefined])[] = [
  ['125 MB/s', 125_000_000],
  ['loopback', undefined],
];
/** What may be noise: repetitions of one variant differ by as much. */
const NOISE_PERCENT = 3;

function variantName(link: string, connections: number): string {
  return connections === 0 ? `${link} one` : `${link} ${connections}`;
}

function withConnections(
  guest: SizedGuest,
  linkBytesPerSecond: number | undefined,
  connections: number,
): MigrationSpec {
  const several =
    connections === 0
      ? {}
      : { capabilities: ['multifd'], parameters: { 'multifd-channels': connections } };
  return {
    ...guest,
    ...several,
    ...(linkBytesPerSecond === undefined ? {} : { linkBytesPerSecond }),
  };
}

/** Change of the median of the total time against one connection over the same link, percent. */
function changes(runs: Parameters<Scenario['judge']>[0]): readonly (readonly [string, number])[] {
  return LINKS.flatMap(([link]) =>
    SEVERAL.map((connections) => {
      const name = variantName(link, connections);
      return [name, percentChange(runs(variantName(link, 0)), runs(name), 'totalMs')] as const;
    }),
  );
}

export const parallelSenders: Scenario = {
  number: 18,
  name: 'parallel-senders',
  title: 'Several connections for pages',
  source: 'Song et al. (PMigrate), VEE 2013',
  published: 'total time 2.49 to 9.88 times shorter',
  criterion: `no gain is required on two cores and one link; it must not lose (by more than ${NOISE_PERCENT} %)`,
  baseline: LINKS.map(([link]) => variantName(link, 0)).join('; '),
  improved: LINKS.flatMap(([link]) => SEVERAL.map((count) => variantName(link, count))).join('; '),
  settings:
    '512 MiB, 384 MiB of noise of which 4 MiB are written 2,000 times a second; bare loopback, and 125 MB/s that the connections share; multifd-channels 2 and 4',
  repetitions: 15,
  variants(size) {
    const guest: SizedGuest = size.smoke
      ? { ram: '16M', workload: 'memwrite,fill=8M,hot=1M,rate=500,words=8,step=512' }
      : { ram: '512M', workload: 'memwrite,fill=384M,hot=4M,rate=2000,words=8,step=512' };
    return Object.fromEntries(
      LINKS.flatMap(([link, bytesPerSecond]) =>
        CONNECTIONS.map((connections) => [
          variantName(link, connections),
          withConnections(guest, bytesPerSecond, connections),
        ]),
      ),
    );
  },
  judge(runs) {
    const several = changes(runs);
    const times = LINKS.map(([link]) => {
      const names = CONNECTIONS.map((connections) => variantName(link, connections));
      return `${link}: ${names.map((name) => shown(runs(name), 'totalMs')).join(' -> ')}`;
    });
    const all = LINKS.flatMap(([link]) =>
      CONNECTIONS.map((connections) => runs(variantName(link, connections))),
    );
    const loses = several.filter(([, percent]) => !(percent <= NOISE_PERCENT));
    return {
      ours: `total with one, 2 and 4 connections: ${times.join('; ')}`,
      direction: 'none',
      ratio: holds(loses.length === 0 && allIdentical(...all)),
      note: `against one connection ${several.map(([name, percent]) => `${name}: ${rounded(percent)} %`).join(', ')}; one thread on either side makes and takes the pages, so what several connections can gain is a link on which one is bound by its window or its losses`,
    };
  },
};
