import { afterAll, describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { listenUri, Stage } from '../migration/stage.ts';

interface Limit {
  readonly 'cpu-index': number;
  readonly 'limit-rate': number;
  readonly 'current-rate': number;
}

/**
 * Each vCPU rewrites whole pages as fast as it can, which at a hundredth of its time still are more
 * than such a limit; what matters is that it is slowed.
 */
const FAST = 'memwrite,fill=96M,hot=96M,rate=0,words=512,step=8';
const LIMIT = 1;

describe('set-vcpu-dirty-limit', () => {
  const stage = new Stage();
  afterAll(() => stage.end());

  it('slows a vCPU, gives way to a migration, and lets the guest go', async () => {
    const [source, destination] = await Promise.all([
      stage.source('source', { workload: FAST, vcpus: 2, ram: '112M' }),
      stage.destination('destination'),
    ]);
    const { qmp } = source;
    const limits = async () => (await qmp.execute('query-vcpu-dirty-limit')) as readonly Limit[];
    await until('the guest has filled its RAM', async () => {
      const { booted } = (await qmp.execute('x-guest-info')) as { booted: boolean };
      return booted || undefined;
    });
    expect(await limits()).toEqual([]);
    await source.set({ 'x-vcpu-dirty-limit-period': 100 });
    await qmp.execute('set-vcpu-dirty-limit', { 'cpu-index': 0, 'dirty-rate': LIMIT });
    const first = await until('the vCPU was measured', async () => {
      const [limit] = await limits();
      return limit !== undefined && limit['current-rate'] > 2 * LIMIT ? limit : undefined;
    });
    expect(first).toMatchObject({ 'cpu-index': 0, 'limit-rate': LIMIT });
    await until('it is slowed', async () => {
      const [limit] = await limits();
      return (limit?.['current-rate'] ?? 0) <= first['current-rate'] / 2 || undefined;
    });

    await expect(
      qmp.execute('set-vcpu-dirty-limit', { 'cpu-index': 2, 'dirty-rate': 1 }),
    ).rejects.toThrow('Incorrect cpu index specified');
    await expect(qmp.execute('set-vcpu-dirty-limit', { 'dirty-rate': -1 })).rejects.toThrow(
      "Parameter 'dirty-rate' expects",
    );

    // The migration is the one that flips the logs now, and no store is lost.
    await source.set({ 'x-timeout': 1000, 'max-bandwidth': 0 });
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.qmp.execute('stop');
    expect(await destination.qmp.execute('x-check-guest')).toMatchObject({ ok: true });
    await destination.qmp.execute('cont');
    expect(await limits()).toEqual([]);
    await expect(qmp.execute('set-vcpu-dirty-limit', { 'dirty-rate': 1 })).rejects.toThrow(
      'There is no guest here',
    );

    await destination.qmp.execute('set-vcpu-dirty-limit', { 'dirty-rate': 5 });
    const arrived = (await destination.qmp.execute('query-vcpu-dirty-limit')) as readonly Limit[];
    expect(arrived.map((limit) => [limit['cpu-index'], limit['limit-rate']])).toEqual([
      [0, 5],
      [1, 5],
    ]);
    await destination.qmp.execute('cancel-vcpu-dirty-limit', { 'cpu-index': 0 });
    await destination.qmp.execute('set-vcpu-dirty-limit', { 'cpu-index': 1, 'dirty-rate': 0 });
    expect(await destination.qmp.execute('query-vcpu-dirty-limit')).toEqual([]);
  }, 90_000);
});
