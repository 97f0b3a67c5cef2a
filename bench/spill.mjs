// The page spill of post-copy: what it costs the migration, and what it saves when the source dies.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentProcess } from '../dist/experiments/index.js';
import { summary } from '../dist/experiments/measuring/index.js';
import { booted, startDestination, startSource, until } from './migration.mjs';
import { faultsOf } from './postcopy/run.mjs';

/** A pair whose guest is about to be handed over, and what ends it. */
async function pair({ ram, workload, bytesPerSecond, spills }) {
  const directory = await mkdtemp(join(tmpdir(), 'sterna-bench-'));
  const spillDirectory = join(directory, 'spills');
  await mkdir(spillDirectory);
  const destination = await startDestination(directory);
  const state = join(directory, 'spilling');
  const source = await startSource(
    ...[directory, '--state-dir', state, '--ram', ram, '--vcpus', '2', '--workload', workload],
  );
  const [here, there] = [await source.connect(), await destination.connect()];
  await booted(here);
  await here.execute('migrate-set-parameters', {
    'x-mode': 'postcopy',
    'max-postcopy-bandwidth': bytesPerSecond,
    'x-postcopy-spill': spills ? spillDirectory : '',
  });
  await here.execute('migrate', { uri: destination.ready.listen });
  const close = async () => {
    for (const client of [here, there]) client.close();
    await Promise.all([source.kill(), destination.kill()]);
    await rm(directory, { recursive: true, force: true });
  };
  return { source, destination, here, there, state, close };
}

/** How long the pages take, and how long vCPUs wait for theirs. */
async function cost(setting) {
  const running = await pair(setting);
  const { here, there } = running;
  try {
    await until(here, ({ status }) => status.startsWith('postcopy-'));
    const startMs = performance.now();
    const spilt = setting.spills
      ? until(here, (info) => ['durable', 'removed'].includes(info['x-sterna'].spill?.status))
      : undefined;
    await until(here, ({ status }) => status === 'completed');
    const pushMs = performance.now() - startMs;
    const spill = (await spilt)?.['x-sterna'].spill;
    const arrived = await until(there, ({ status }) => status === 'completed');
    const { requests: faults, p99Us } = faultsOf(arrived);
    return { pushMs, faults, p99Us, spill };
  } finally {
    await running.close();
  }
}

/** The source is killed when its spill is durable; a new one takes its place. */
async function rescue(setting) {
  const running = await pair({ ...setting, spills: true });
  const { source, here, there, state } = running;
  let next;
  try {
    const { spill } = (await until(here, (info) => info['x-sterna'].spill?.status === 'durable'))[
      'x-sterna'
    ];
    await source.kill();
    const startMs = performance.now();
    next = await AgentProcess.start({
      role: 'source',
      arguments: [...['--name', 'again', '--state-dir', state], '--resume-spill', spill.path],
    });
    await until(there, ({ status }) => status === 'completed');
    const wholeAfterMs = performance.now() - startMs;
    return {
      wholeAfterMs,
      durableAfterMs: spill['durable-after-ms'],
      bytes: spill['written-bytes'],
    };
  } finally {
    await next?.kill();
    await running.close();
  }
}

export const spill = {
  name: 'spill',
  async run({ smoke, record }) {
    const fill = smoke ? '16M' : '256M';
    const guest = {
      ram: smoke ? '32M' : '320M',
      workload: `memwrite,fill=${fill},hot=${smoke ? '4M' : '64M'},rate=4000,words=8,step=512`,
    };
    const rates = smoke ? [0] : [0, 125_000_000];
    const runs = smoke ? 1 : 3;
    for (const bytesPerSecond of rates) {
      const withSpill = [];
      const without = [];
      // In turns, so that what drifts drifts for both.
      for (let run = 0; run < runs; run += 1) {
        without.push(await cost({ ...guest, bytesPerSecond, spills: false }));
        withSpill.push(await cost({ ...guest, bytesPerSecond, spills: true }));
      }
      const figures = (samples) => ({
        pushMs: summary(samples.map(({ pushMs }) => pushMs)),
        faults: summary(samples.map(({ faults }) => faults)),
        faultP99Us: summary(samples.map(({ p99Us }) => p99Us)),
      });
      const statuses = withSpill.map((sample) => sample.spill?.status);
      record({
        what: 'post-copy without and with a page spill beside it',
        ...{ fill, bytesPerSecond, statuses },
        without: figures(without),
        with: figures(withSpill),
      });
    }
    const rescues = [];
    for (let run = 0; run < runs; run += 1) {
      rescues.push(await rescue({ ...guest, bytesPerSecond: 16_000_000 }));
    }
    record({
      what: 'source killed in post-copy, its spill durable: until the guest is whole',
      fill,
      spillBytes: rescues[0].bytes,
      durableAfterMs: summary(rescues.map(({ durableAfterMs }) => durableAfterMs)),
      wholeAfterMs: summary(rescues.map(({ wholeAfterMs }) => wholeAfterMs)),
    });
  },
};
