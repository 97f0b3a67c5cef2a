// The journal of post-copy: what it costs the guest, the push and the link, and what it saves when
// the destination is killed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summary } from '../dist/experiments/measuring/index.js';
import { booted, startDestination, startSource, until } from './migration.mjs';

const PUSH_BYTES_PER_SECOND = 24 * 2 ** 20;
const INTERVAL_MS = 200;

async function work(client) {
  const { writes, reads, ticks } = await client.execute('x-guest-info');
  return writes + reads + ticks;
}

/** A source that writes, its destination, and post-copy between the two, begun. */
async function begin(directory, ram, workload, withJournal) {
  const source = await startSource(directory, '--ram', ram, '--workload', workload);
  const destination = await startDestination(directory);
  const [from, to] = [await source.connect(), await destination.connect()];
  await booted(from);
  await from.execute('migrate-set-capabilities', {
    capabilities: [{ capability: 'x-postcopy-journal', state: withJournal }],
  });
  await from.execute('migrate-set-parameters', {
    'x-mode': 'postcopy',
    'max-postcopy-bandwidth': PUSH_BYTES_PER_SECOND,
    'x-postcopy-journal-interval': INTERVAL_MS,
    'x-auto-recover': 'off',
  });
  await from.execute('migrate', { uri: destination.ready.listen });
  await until(from, ({ status }) => status === 'postcopy-active');
  const end = async () => {
    from.close();
    to.close();
    await Promise.all([source.stop(), destination.stop()]);
  };
  return { source, destination, from, to, end };
}

/** Until every page has come. Work is that of the guest at the destination. */
async function cost(directory, ram, workload, withJournal) {
  const pair = await begin(directory, ram, workload, withJournal);
  try {
    const startMs = performance.now();
    const workBefore = await work(pair.to);
    let journal;
    const info = await until(pair.from, (reply) => {
      journal = reply['x-sterna'].journal ?? journal;
      return reply.status === 'completed';
    });
    const seconds = (performance.now() - startMs) / 1000;
    const worked = (await work(pair.to)) - workBefore;
    const there = (await pair.to.execute('query-migrate'))['x-sterna'].journal;
    return {
      seconds,
      workPerSecond: worked / seconds,
      pushBytesPerSecond: info.ram.transferred / seconds,
      ...(there === undefined
        ? {}
        : {
            points: there.points,
            backBytes: journal.bytes,
            backBytesPerSecond: journal.bytes / seconds,
            pauseMs: summary(there['recent-pauses-ms']),
            pausedShare: there['pause-ms'] / 1000 / seconds,
          }),
    };
  } finally {
    await pair.end();
  }
}

/** What is lost when the destination is killed after `afterMs`: work, and how old the point is. */
async function loss(directory, ram, workload, withJournal, afterMs) {
  const pair = await begin(directory, ram, workload, withJournal);
  try {
    const atSwitch = await work(pair.from);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    const atKill = await work(pair.to);
    await pair.destination.kill();
    const paused = await until(pair.from, ({ status }) => status === 'postcopy-paused');
    const left = await work(pair.from);
    const { journal } = paused['x-sterna'];
    await pair.from.execute('cont', { 'x-take-ownership': true });
    await pair.from.execute('stop');
    const check = await pair.from.execute('x-check-guest');
    if (!check.ok) throw new Error(`The guest is damaged: ${JSON.stringify(check.problems)}`);
    const lostShare = (atKill - left) / Math.max(1, atKill - atSwitch);
    return { lostMs: lostShare * afterMs, lostShare, points: journal?.points ?? 0 };
  } finally {
    await pair.end();
  }
}

export const journal = {
  name: 'journal',
  async run({ smoke, record }) {
    const directory = await mkdtemp(join(tmpdir(), 'sterna-bench-'));
    const [ram, fill] = smoke ? ['64M', '32M'] : ['256M', '160M'];
    const rates = smoke ? [1000] : [500, 4000, 16_000];
    const kills = smoke ? 1 : 8;
    // While pages are still to come, which is 1.4 s of a small guest and 6.7 s of the other.
    const firstKillMs = smoke ? 400 : 1500;
    try {
      for (const rate of rates) {
        const workload = `memwrite,fill=${fill},hot=${smoke ? '4M' : '32M'},rate=${rate},words=8`;
        const without = await cost(directory, ram, workload, false);
        const withIt = await cost(directory, ram, workload, true);
        record({
          what: 'what the journal costs until every page has come',
          ram,
          workload,
          without,
          with: withIt,
          slowdown: 1 - withIt.workPerSecond / without.workPerSecond,
        });
        for (const withJournal of [false, true]) {
          const lostMs = [];
          for (let kill = 0; kill < kills; kill += 1) {
            const afterMs = firstKillMs + 130 * kill;
            lostMs.push((await loss(directory, ram, workload, withJournal, afterMs)).lostMs);
          }
          record({
            what: 'work lost when the destination is killed, in ms of work',
            killedAfterMs: [firstKillMs, firstKillMs + 130 * (kills - 1)],
            ram,
            workload,
            withJournal,
            lostMs: summary(lostMs),
          });
        }
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
