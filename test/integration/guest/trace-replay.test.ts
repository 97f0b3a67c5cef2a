import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decodeTrace, encodeTrace, type Trace } from '../../../src/guestmem/index.ts';
import { until } from '../../support/until.ts';
import { AgentHarness, type Driven, type Fields, isProven } from '../control/agent-harness.ts';

const RAM_PAGES = 4096;
const INTERVAL_MS = 50;

/** A sweep over 40 pages an interval, and three pages of everywhere; 16 of 128 words change. */
const RECORDED: Trace = {
  header: {
    ramBlocks: [{ name: 'ram0', bytes: RAM_PAGES * 4096 }],
    vcpuCount: 1,
    workload: 'something',
    intervalMs: INTERVAL_MS,
  },
  populated: new Uint8Array(RAM_PAGES / 8).fill(0xff, 0, 256),
  contents: [],
  intervals: Array.from({ length: 20 }, (_, index) => ({
    spanMs: INTERVAL_MS,
    busyShare: 1,
    pages: Uint32Array.from([
      ...Array.from({ length: 40 }, (_page, page) => index * 40 + page),
      ...[2000, 3000, 4095],
    ]),
    changes: [
      {
        pfn: index * 40,
        lag: 1,
        changedBytes: 64,
        xbzrleBytes: 112,
        lz4Bytes: 4096,
        deltaLz4Bytes: 112,
      },
    ],
  })),
};

describe('a guest that replays a trace', () => {
  const harness = new AgentHarness();
  const file = join(harness.directory, 'recorded.trace');
  writeFileSync(file, encodeTrace(RECORDED));

  afterAll(() => harness.end());

  const guest = (vcpuCount: number) => ({
    ramBytes: RAM_PAGES * 4096,
    vcpuCount,
    workload: `trace,file=${file}`,
    seed: 7,
  });

  function writesBeyond({ qmp }: Driven, writes: number): Promise<number> {
    return until(`more than ${writes} writes`, async () => {
      const info = (await qmp.execute('x-guest-info')) as { readonly writes: number };
      return info.writes > writes ? info.writes : undefined;
    });
  }

  async function expectWhole({ qmp }: Driven): Promise<void> {
    await qmp.execute('stop');
    expect(await qmp.execute('x-check-guest')).toMatchObject({ ok: true, problems: [] });
    await qmp.execute('cont');
  }

  it('goes on where it was, after pre-copy and after post-copy, without its file', async () => {
    const source = await harness.source('replaying', guest(2));
    const destination = await harness.destination('second');
    const writes = await writesBeyond(source, 50);
    await expectWhole(source);
    await source.qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'xbzrle', state: true }],
    });
    await source.qmp.execute('migrate', { uri: destination.agent.ready.listen });
    await source.migration(isProven);
    const later = await writesBeyond(destination, writes);
    await expectWhole(destination);

    const third = await harness.destination('third');
    await destination.qmp.execute('migrate-set-parameters', { 'x-mode': 'postcopy' });
    await destination.qmp.execute('migrate', { uri: third.agent.ready.listen });
    await destination.migration(({ status }) => status === 'completed');
    await writesBeyond(third, later + 200);
    await expectWhole(third);
    const info = (await third.qmp.execute('x-guest-info')) as Fields;
    expect(info.workload).toMatch(/^trace,pages=4096,script=\d+$/);
  });

  it('is recorded as what it replays', async () => {
    const again = join(harness.directory, 'again.trace');
    const source = await harness.source('recorded-again', guest(1));
    await writesBeyond(source, 50);
    await source.qmp.execute('x-record-trace-start', { filename: again, interval: 50, span: 2200 });
    await until('the trace to be recorded', async () => {
      const { status } = (await source.qmp.execute('x-query-record-trace')) as Fields;
      return status === 'completed' ? true : undefined;
    });
    const trace = decodeTrace(readFileSync(again));
    const pagesOf = (intervals: Trace['intervals']) =>
      [...new Set(intervals.flatMap(({ pages }) => [...pages]))].sort((one, two) => one - two);
    // More than two turns of it: every page that it ever dirties, and no other.
    expect(pagesOf(trace.intervals)).toEqual(pagesOf(RECORDED.intervals));
    const changes = trace.intervals.flatMap((interval) => interval.changes);
    expect(changes.length).toBeGreaterThan(0);
    for (const { changedBytes, xbzrleBytes } of changes) {
      if (changedBytes === 0) continue;
      // 16 words, now and then with a byte that stays the same, or of two writes.
      expect(changedBytes).toBeGreaterThan(50);
      expect(changedBytes).toBeLessThanOrEqual(64);
      expect(xbzrleBytes).toBeGreaterThan(90);
      expect(xbzrleBytes).toBeLessThan(150);
    }
  });

  it('refuses a file that is damaged, that is not there, or of more RAM', async () => {
    const damaged = join(harness.directory, 'damaged.trace');
    writeFileSync(damaged, readFileSync(file).subarray(0, 500));
    const start = (path: string, ramBytes = RAM_PAGES * 4096) =>
      harness.start({
        name: `refused-${path.length}-${ramBytes}`,
        role: 'source',
        machine: { ...guest(1), ramBytes, workload: `trace,file=${path}` },
      });
    await expect(start(damaged)).rejects.toMatchObject({ code: 'E_TRACE' });
    await expect(start('/nowhere/at.all')).rejects.toMatchObject({ code: 'E_FILE' });
    const large = join(harness.directory, 'large-one.trace');
    const ramBlocks = [{ name: 'ram0', bytes: 2 * RAM_PAGES * 4096 }];
    const { header, populated } = RECORDED;
    const doubled = new Uint8Array(2 * populated.length);
    const of = { ...RECORDED, header: { ...header, ramBlocks }, populated: doubled };
    writeFileSync(large, encodeTrace(of));
    await expect(start(large)).rejects.toMatchObject({ code: 'E_CONFIG_INVALID' });
  });
});
