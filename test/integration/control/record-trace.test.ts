import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeTrace, type Trace } from '../../../src/guestmem/index.ts';
import { until } from '../../support/until.ts';
import { AgentHarness, BUSY_GUEST, type Driven, type Fields } from './agent-harness.ts';

/** BUSY_GUEST fills 8 MiB and writes the first 2 MiB. */
const FILLED_PAGES = 2048;
const HOT_PAGES = 512;

describe('x-record-trace-start', () => {
  const harness = new AgentHarness();

  afterAll(() => harness.end());

  const pathOf = (name: string) => join(harness.directory, name);
  const traceOf = (name: string) => decodeTrace(readFileSync(pathOf(name)));

  function expectBusyGuest({ header, populated, intervals, contents }: Trace): void {
    expect(header.vcpuCount).toBe(2);
    expect(header.workload).toMatch(/^memwrite,fill=8388608/);
    expect(populated.subarray(0, FILLED_PAGES / 8).every((byte) => byte === 0xff)).toBe(true);
    expect(populated.subarray(FILLED_PAGES / 8).every((byte) => byte === 0)).toBe(true);
    expect(contents.every(({ lz4Bytes }) => lz4Bytes === 4096)).toBe(true);
    expect(intervals.flatMap(({ pages }) => [...pages]).every((pfn) => pfn < HOT_PAGES)).toBe(true);
  }

  function recorded({ qmp }: Driven): Promise<Fields> {
    return until('the trace to be recorded', async () => {
      const reply = (await qmp.execute('x-query-record-trace')) as Fields;
      return reply.status === 'recording' ? undefined : reply;
    });
  }

  it('writes what a running guest dirties, for as long as it is asked to', async () => {
    const source = await harness.source('recorded', BUSY_GUEST);
    expect(await source.qmp.execute('x-query-record-trace')).toEqual({ status: 'none' });
    await booted(source);
    const values = { filename: pathOf('span.trace'), interval: 20, span: 600 };
    expect(await source.qmp.execute('x-record-trace-start', values)).toEqual({});
    const again = source.qmp.execute('x-record-trace-start', values);
    await expect(again).rejects.toThrow('recorded already');
    const rate = source.qmp.execute('calc-dirty-rate', { 'calc-time': 1 });
    await expect(rate).rejects.toThrow('being recorded');
    const reply = await recorded(source);
    expect(reply).toMatchObject({ status: 'completed', interval: 20 });
    const trace = traceOf('span.trace');
    expectBusyGuest(trace);
    expect(trace.intervals).toHaveLength(Number(reply.intervals));
    // It writes 2000 pages a second, eight words of each.
    const dirtied = trace.intervals.reduce((sum, { pages }) => sum + pages.length, 0);
    expect(dirtied).toBe(reply['dirtied-pages']);
    expect(dirtied).toBeGreaterThan(100);
    const changes = trace.intervals.flatMap((interval) => interval.changes);
    expect(changes.length).toBeGreaterThan(0);
    expect(changes.every(({ changedBytes }) => changedBytes <= 32)).toBe(true);
    await source.qmp.execute('stop');
    expect(await source.qmp.execute('x-check-guest')).toMatchObject({ ok: true });
  });

  it('is ended by the operator, and says what was recorded', async () => {
    const source = await harness.source('stopped', BUSY_GUEST);
    const nothing = source.qmp.execute('x-record-trace-stop');
    await expect(nothing).rejects.toThrow('Nothing is recorded');
    await source.qmp.execute('x-record-trace-start', { filename: pathOf('stopped.trace') });
    const reply = (await source.qmp.execute('x-record-trace-stop')) as Fields;
    expect(reply).toMatchObject({ status: 'completed', filename: pathOf('stopped.trace') });
    expect(traceOf('stopped.trace').intervals).toHaveLength(Number(reply.intervals));
  });

  it('is ended by a migration, and by the end of its agent', async () => {
    const source = await harness.start({
      name: 'leaving',
      role: 'source',
      machine: BUSY_GUEST,
      recordTrace: pathOf('leaving.trace'),
    });
    const qmp = await harness.client(source);
    expect(await qmp.execute('x-query-record-trace')).toMatchObject({ status: 'recording' });
    const destination = await harness.destination('arriving');
    await qmp.execute('migrate', { uri: destination.agent.ready.listen });
    await destination.migration(({ status }) => status === 'completed');
    expect(await qmp.execute('x-query-record-trace')).toMatchObject({ status: 'completed' });
    expect(traceOf('leaving.trace').header.vcpuCount).toBe(2);

    const ending = await harness.start({
      name: 'ending',
      role: 'source',
      machine: BUSY_GUEST,
      recordTrace: pathOf('ending.trace'),
    });
    await ending.close();
    expect(traceOf('ending.trace').header.vcpuCount).toBe(2);
  });

  it('says why it failed, and what it refuses', async () => {
    const source = await harness.source('failing', BUSY_GUEST);
    writeFileSync(pathOf('plain'), '');
    const filename = pathOf('plain/below.trace');
    await source.qmp.execute('x-record-trace-start', { filename });
    expect(await recorded(source)).toMatchObject({ status: 'failed', error: { code: 'E_FILE' } });
    for (const values of [{ interval: 4 }, { interval: 1001 }, { span: 49 }]) {
      const refused = source.qmp.execute('x-record-trace-start', { filename, ...values });
      await expect(refused).rejects.toThrow(/out of range|shorter than one interval/);
    }
  });

  async function booted({ qmp }: Driven): Promise<void> {
    await until('the guest to boot', async () => {
      const { booted } = (await qmp.execute('x-guest-info')) as Fields;
      return booted === true ? true : undefined;
    });
  }
});
