import { expect, onTestFinished, test } from 'vitest';
import { parseAddress } from '../../../src/channel/index.ts';
import { LinuxPair } from '../../../src/experiments/index.ts';
import { FaultyProxy } from '../../support/faulty-proxy.ts';
import { until } from '../../support/until.ts';
import { FAILURES } from './debian-guest.ts';
import { begin, imageOrSkip, LINUX_LIMIT_MS, over, query } from './linux-stage.ts';

/** What goes wrong with a migration costs a Debian that works nothing. */

/** A Debian whose redis is written, and its pair. */
async function loaded(skip: (why: string) => void): Promise<LinuxPair> {
  const pair = await LinuxPair.start({
    image: await imageOrSkip(skip),
    ram: '256M',
    append: 'sterna_init=redis-load',
  });
  onTestFinished(() => pair.close());
  await pair.source.until(/load \d+ ok/, LINUX_LIMIT_MS);
  return pair;
}

/** The highest round of the load that was told. */
function roundOf(text: string): number {
  return Math.max(0, ...[...text.matchAll(/load (\d+) ok/g)].map(([, round]) => Number(round)));
}

test(
  'post-copy whose link is cut again and again',
  async ({ skip }) => {
    const pair = await loaded(skip);
    const { sourceQmp, destinationQmp, uri } = pair.agents;
    const target = parseAddress(uri);
    if (target.kind !== 'tcp') throw new Error('The destination listens on a port');
    const proxy = await FaultyProxy.start({ target });
    onTestFinished(() => proxy.close());
    const { host, port } = proxy.address;
    const slow = { 'max-postcopy-bandwidth': 15_000_000 };
    await begin(sourceQmp, `tcp:${host}:${port}`, 'postcopy', slow);
    for (let cuts = 0; cuts < 3; cuts += 1) {
      await until(`post-copy after ${cuts} cuts`, async () => {
        const { status, 'x-sterna': ours } = await query(sourceQmp);
        const isBack = status === 'postcopy-active' && (ours?.postcopy?.recoveries ?? 0) >= cuts;
        return isBack || undefined;
      });
      proxy.cut();
    }
    await sourceQmp.execute('migrate-set-parameters', { 'max-postcopy-bandwidth': 0 });
    const reply = await over(sourceQmp);
    expect(reply['x-sterna']).toMatchObject({
      verify: { status: 'identical' },
      postcopy: { recoveries: 3 },
    });
    const round = roundOf(pair.destination.text);
    await until('the load goes on', () => roundOf(pair.destination.text) > round + 1 || undefined);
    expect((await query(destinationQmp)).status).toBe('completed');
    expect(pair.source.text + pair.destination.text).not.toMatch(FAILURES);
  },
  LINUX_LIMIT_MS,
);

test(
  'a destination that is killed before it has the guest',
  async ({ skip }) => {
    const pair = await loaded(skip);
    const { sourceQmp, destination, uri } = pair.agents;
    await begin(sourceQmp, uri, 'precopy', { 'max-bandwidth': 15_000_000 });
    await until('pre-copy', async () => (await query(sourceQmp)).status === 'active' || undefined);
    await destination.kill();
    expect((await over(sourceQmp)).status).toBe('failed');
    const round = roundOf(pair.source.text);
    await until('the load goes on', () => roundOf(pair.source.text) > round + 1 || undefined);
    expect(pair.source.text).not.toMatch(FAILURES);
  },
  LINUX_LIMIT_MS,
);
