import { afterAll, describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { AgentHarness, BUSY_GUEST, type Driven, type Fields } from './agent-harness.ts';

describe('calc-dirty-rate', () => {
  const harness = new AgentHarness();

  afterAll(() => harness.end());

  function measured({ qmp }: Driven): Promise<Fields> {
    return until('the rate to be measured', async () => {
      const reply = (await qmp.execute('query-dirty-rate')) as Fields;
      return reply.status === 'measured' ? reply : undefined;
    });
  }

  it('measures a running guest by its logs, and by samples of its pages', async () => {
    const source = await harness.source('rates', BUSY_GUEST);
    for (const mode of ['dirty-bitmap', 'page-sampling']) {
      const values = { 'calc-time': 200, 'calc-time-unit': 'millisecond', mode };
      expect(await source.qmp.execute('calc-dirty-rate', values)).toEqual({});
      const again = source.qmp.execute('calc-dirty-rate', values);
      await expect(again).rejects.toThrow('already in progress');
      const reply = await measured(source);
      const { 'pages-per-second': pages } = reply['x-sterna'] as Record<string, number>;
      // The guest has 512 hot pages, each of which counts once.
      expect(pages).toBeGreaterThan(0);
      if (mode === 'dirty-bitmap') {
        expect(pages).toBeLessThanOrEqual(512 / 0.2);
        expect(reply['vcpu-dirty-rate']).toHaveLength(2);
      }
    }
    await source.qmp.execute('stop');
    const values = { 'calc-time': 50, 'calc-time-unit': 'millisecond', mode: 'dirty-bitmap' };
    await source.qmp.execute('calc-dirty-rate', values);
    expect(await measured(source)).toMatchObject({ 'dirty-rate': 0 });
    expect(await source.qmp.execute('x-check-guest')).toMatchObject({ ok: true });
  });

  it('is ended by a migration, of which the guest loses nothing', async () => {
    const source = await harness.source('ended', BUSY_GUEST);
    const destination = await harness.destination('ended-destination');
    await source.qmp.execute('calc-dirty-rate', { 'calc-time': 60, mode: 'dirty-bitmap' });
    await source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    const done = await source.migration(
      ({ status, 'x-sterna': ours }) =>
        status === 'completed' &&
        (ours as { verify: { status: string } }).verify.status === 'identical',
    );
    expect(done.status).toBe('completed');
    const reply = await measured(source);
    expect(Number((reply['x-sterna'] as Fields)['measured-ms'])).toBeLessThan(60_000);
    const refused = source.qmp.execute('calc-dirty-rate', { 'calc-time': 1 });
    await expect(refused).rejects.toThrow('no guest here');
    await destination.qmp.execute('stop');
    expect(await destination.qmp.execute('x-check-guest')).toMatchObject({ ok: true });
  });

  it('is refused where no guest is', async () => {
    const destination = await harness.destination('empty');
    const refused = destination.qmp.execute('calc-dirty-rate', { 'calc-time': 1 });
    await expect(refused).rejects.toThrow('no guest here');
    expect(await destination.qmp.execute('query-dirty-rate')).toMatchObject({
      status: 'unstarted',
    });
  });
});
