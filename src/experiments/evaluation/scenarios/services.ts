import { rounded, spread } from '../../measuring/index.ts';
import type { Figures } from '../figures.ts';
import { allEnded, allIdentical, holds } from '../judge.ts';
import type { MigrationSpec, Scenario, ScenarioSize } from '../scenario.ts';
import { type SizedGuest, SLOW_LINK, sized, vanilla, varied, withDelta } from './precopy-pair.ts';

const STREAM_BUFFER_MS = 1_000;

const CACHE_MIB = 128;

function pair(
  size: ScenarioSize,
  small: SizedGuest,
  whole: SizedGuest,
): Readonly<Record<'vanilla' | 'delta', MigrationSpec>> {
  const parameters = { 'x-timeout': size.smoke ? 4_000 : 14_000 };
  const spec = { ...sized(size, small, whole), parameters };
  return { vanilla: vanilla(spec), delta: withDelta(spec, CACHE_MIB) };
}

const clientValues = (runs: readonly Figures[], field: keyof NonNullable<Figures['client']>) =>
  runs.flatMap(({ client }) => (client === undefined ? [] : [client[field]]));
const largest = (values: readonly number[]) => Math.max(0, ...values);

export const streaming: Scenario = {
  number: 2,
  name: 'streaming',
  title: 'Streaming server, as its viewer sees it',
  source: 'Svärd et al., VEE 2011',
  published: 'plain: the picture freezes for 8 s; with delta compression: no perceivable downtime',
  criterion:
    "plain: stands still for longer than the client's buffer of 1 s; delta: less than 1 s, no frame lost",
  baseline: 'vanilla',
  improved: 'delta',
  settings:
    '96 MiB, a ring of 64 MiB of frames of 64 KiB, 250 a second (1.3 x the link of 12.5 MB/s), a twentieth of a frame changes; suspended after 14 s; clients have a link of their own',
  repetitions: 3,
  variants(size) {
    const viewer = { kind: 'stream', framesPerSecond: 250 } as const;
    return pair(
      size,
      {
        ram: '24M',
        workload: 'stream,fill=20M,ring=16M,frame=64K,fps=250,change=5',
        client: { ...viewer, bufferMs: 200 },
      },
      {
        ram: '96M',
        workload: 'stream,fill=88M,ring=64M,frame=64K,fps=250,change=5',
        client: { ...viewer, bufferMs: STREAM_BUFFER_MS },
      },
    );
  },
  judge(runs) {
    const [plain, delta] = [runs('vanilla'), runs('delta')];
    const lost = largest(clientValues(delta, 'lostFrames'));
    const damaged = largest(clientValues([...plain, ...delta], 'damagedFrames'));
    const [frozen, thawed] = [clientValues(plain, 'freezeMs'), clientValues(delta, 'freezeMs')];
    const gaps = clientValues(delta, 'longestMs');
    const isWhole = allEnded('completed', plain, delta) && allIdentical(plain, delta);
    return {
      ours: `stands still ${spread(frozen)} ms -> ${spread(thawed)} ms; longest gap between frames ${spread(clientValues(plain, 'longestMs'))} ms -> ${spread(gaps)} ms; frames lost with delta ${lost}`,
      direction: holds(Math.min(...frozen) > largest(thawed) && isWhole),
      ratio: holds(
        Math.min(...frozen) > STREAM_BUFFER_MS &&
          largest(thawed) < 1_000 &&
          lost === 0 &&
          damaged === 0 &&
          isWhole,
      ),
    };
  },
};

const SESSIONS = 16;

export const sessions: Scenario = {
  number: 3,
  name: 'sessions',
  title: 'Business system with a wide hot set and a session limit of 5 s',
  source: 'Svärd et al., VEE 2011; Hudzia 2011',
  published:
    'a very large ERP system fails after plain migration, and succeeds with XBRLE; sessions end after about 5 s',
  criterion: 'plain: sessions die; delta: all live',
  baseline: 'vanilla',
  improved: 'delta',
  settings:
    '112 MiB, 96 MiB hot (7.7 s of the link of 12.5 MB/s), 4 words of a record, 12,000 records/s (3.9 x the link), 16 sessions; suspended after 14 s; clients have a link of their own',
  repetitions: 3,
  variants(size) {
    const users = { kind: 'erp', sessions: SESSIONS, thinkMs: 100 } as const;
    return pair(
      size,
      {
        ram: '24M',
        workload: 'erp,heap=20M,hot=16M,updates=50,rate=8000,sessions=16',
        client: { ...users, limitMs: 500 },
      },
      {
        ram: '120M',
        workload: 'erp,heap=112M,hot=96M,updates=50,rate=12000,sessions=16',
        client: { ...users, limitMs: 5_000 },
      },
    );
  },
  judge(runs) {
    const [plain, delta] = [runs('vanilla'), runs('delta')];
    const [dead, deadWithDelta] = [
      clientValues(plain, 'sessionsDead'),
      clientValues(delta, 'sessionsDead'),
    ];
    const succeeds = deadWithDelta.length > 0 && largest(deadWithDelta) === 0;
    const fails = dead.length > 0 && Math.min(...dead) > 0;
    return {
      ours: `sessions lost of ${SESSIONS}: ${spread(dead)} -> ${spread(deadWithDelta)}; slowest transaction with delta ${spread(clientValues(delta, 'longestMs'))} ms`,
      direction: holds(
        fails && succeeds && allEnded('completed', plain, delta) && allIdentical(plain, delta),
      ),
      ratio: 'none',
    };
  },
};

export const interactive: Scenario = {
  number: 11,
  name: 'interactive',
  title: 'Interactive services with a small writable working set',
  source: 'Clark et al., NSDI 2005',
  published: 'downtime 60 ms (Quake 3 server), 210 ms (SPECweb)',
  criterion: 'seen by clients: at most 60 ms and 210 ms',
  baseline: '',
  improved: 'frames; transactions',
  settings:
    'policy auto, 64 MiB over 25 MB/s; frames: 25 a second of 16 KiB, downtime limit 30 ms, longest gap less a period; transactions: 32 sessions over 2 MiB, downtime limit 100 ms, the slowest one',
  repetitions: 10,
  variants({ smoke }) {
    const ram = smoke ? '16M' : '64M';
    const fill = smoke ? '8M' : '48M';
    const link = { linkBytesPerSecond: 25_000_000 };
    const within = (limitMs: number) => ({
      // Whatever happens, it ends.
      parameters: { 'downtime-limit': limitMs, 'x-timeout': 15_000, 'x-timeout-action': 'suspend' },
    });
    return {
      frames: {
        ...link,
        ...within(30),
        ram,
        workload: `stream,fill=${fill},ring=1M,frame=16K,fps=25,change=20`,
        client: { kind: 'stream', framesPerSecond: 25, bufferMs: 120 },
      },
      transactions: {
        ...link,
        ...within(100),
        ram,
        workload: `erp,heap=${fill},hot=2M,updates=20,rate=500,sessions=32`,
        client: { kind: 'erp', sessions: 32, thinkMs: 50, limitMs: 5_000 },
      },
    };
  },
  judge(runs) {
    const gaps = clientValues(runs('frames'), 'longestMs').map((ms) => Math.max(0, ms - 40));
    const slowest = clientValues(runs('transactions'), 'longestMs');
    const isWhole = allIdentical(runs('frames'), runs('transactions'));
    return {
      ours: `frames late by ${spread(gaps)} ms at most; slowest transaction ${spread(slowest)} ms`,
      direction: 'none',
      ratio: holds(largest(gaps) <= 60 && largest(slowest) <= 210 && gaps.length > 0 && isWhole),
      note: 'the largest of all runs is held against the limit, whatever else the host did',
    };
  },
};

export const rateAdaptive: Scenario = {
  number: 12,
  name: 'rate-adaptive',
  title: 'Adaptive rate and as fast as the link, on a link that clients share',
  source: 'Clark et al., NSDI 2005',
  published: 'no figure; an adaptive rate harms the service less',
  criterion: 'loss of client throughput in the first pass is smaller',
  baseline: 'fixed',
  improved: 'adaptive',
  settings:
    '48 MiB, frames of 32 KiB, 150 a second, over a link of 12.5 MB/s that both share; policy clark with a limit of 12.5 MB/s, and qemu without one',
  repetitions: 3,
  variants({ smoke }) {
    const spec: MigrationSpec = {
      ram: smoke ? '16M' : '48M',
      workload: `stream,fill=${smoke ? '8M' : '40M'},ring=2M,frame=32K,fps=150,change=5`,
      linkBytesPerSecond: SLOW_LINK,
      clientsShareLink: true,
      client: { kind: 'stream', framesPerSecond: 150, bufferMs: 500 },
    };
    const parameters = { 'x-reorder': 'off', 'x-timeout': 30_000, 'x-timeout-action': 'suspend' };
    return varied(spec, parameters, {
      fixed: { 'x-policy': 'qemu' },
      adaptive: { 'x-policy': 'clark', 'max-bandwidth': SLOW_LINK },
    });
  },
  judge(runs) {
    const losses = (variant: string) =>
      runs(variant).flatMap(({ client }) =>
        client === undefined ? [] : [(1 - client.rateDuring / client.rateBefore) * 100],
      );
    const [fixed, adaptive] = [losses('fixed'), losses('adaptive')];
    const total = (variant: string) => spread(runs(variant).map(({ totalMs }) => totalMs));
    return {
      ours: `throughput lost in the first pass ${spread(fixed)} % -> ${spread(adaptive)} %; total ${total('fixed')} ms -> ${total('adaptive')} ms`,
      direction: holds(adaptive.length > 0 && Math.max(...adaptive) < Math.min(...fixed)),
      ratio: 'none',
      note: `first pass ${rounded(runs('fixed')[0]?.passes[0]?.durationMs ?? Number.NaN)} ms and ${rounded(runs('adaptive')[0]?.passes[0]?.durationMs ?? Number.NaN)} ms`,
    };
  },
};
