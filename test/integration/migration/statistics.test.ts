import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_ENTRY_BYTES } from '../../../src/protocol/index.ts';
import { until } from '../../support/until.ts';
import { throughPasses } from './guest-memory-file.ts';
import type { MigrationReply, Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { type StreamTally, tallyStream } from './stream-tally.ts';

/** What `query-migrate` says, against the bytes that really crossed the wire. */

const MIB = 2 ** 20;
/** An id and a time. */
const PING_FRAME_BYTES_MAX = 96;

describe('statistics of a migration', () => {
  const stage = new Stage();
  let source: Site;
  let sent: MigrationReply;
  let received: MigrationReply;
  let truth: StreamTally;
  let forwardedBytes = 0;

  beforeAll(async () => {
    const workload = 'memwrite,fill=8M,hot=3M,rate=30000,words=8,step=512,pattern=random';
    const [from, to] = await Promise.all([
      stage.source('source', { workload, vcpus: 2 }),
      stage.destination('destination'),
    ]);
    source = from;
    const { proxy, uri } = await stage.proxy(listenUri(to), { toTarget: { capture: true } });
    await source.enable('xbzrle');
    await throughPasses(source, uri, 3);
    await source.proven();
    // The last frame, GOODBYE, goes out after the proof: the counters are final when all of it is
    // in them.
    sent = await source.migration('final counters', ({ ram }) => {
      forwardedBytes = proxy.toTarget.forwardedBytes;
      return (
        ram.transferred === forwardedBytes &&
        tallyStream(proxy.toTarget.capture).messages.has('GOODBYE')
      );
    });
    received = await until('final counters at the destination', async () => {
      const reply = await to.query();
      return reply.ram.transferred === forwardedBytes ? reply : undefined;
    });
    truth = tallyStream(proxy.toTarget.capture);
  });

  afterAll(() => stage.end());

  const sumOf = (count: 'zeroPages' | 'rawPages' | 'xbzrlePages' | 'bytes') =>
    truth.passes.reduce((sum, pass) => sum + pass[count], 0);

  it('transferred is exactly what crossed the wire, on both sides', () => {
    expect(truth.bytes).toBe(forwardedBytes);
    expect(sent.ram.transferred).toBe(truth.bytes);
    expect(received.ram.transferred).toBe(truth.bytes);
    expect(Object.fromEntries(truth.messages)).toMatchObject({
      HELLO: 1,
      STOPPED: 1,
      MACHINE_STATE: 1,
      SWITCHOVER: 1,
      GRANT: 1,
      VERIFY_END: 1,
      GOODBYE: 1,
    });
  });

  it('precopy-bytes and downtime-bytes part the stream where the guest stopped', () => {
    const { 'precopy-bytes': precopy = 0, 'downtime-bytes': downtime = 0 } = sent.ram;
    expect(precopy).toBeLessThanOrEqual(truth.stoppedAt);
    expect(precopy).toBeGreaterThan(truth.stoppedAt - PING_FRAME_BYTES_MAX);
    // What follows GRANT is the comparison of the RAM, for which the guest does not wait.
    expect(precopy + downtime).toBe(truth.grantedAt);
  });

  it.each([
    ['source', () => sent],
    ['destination', () => received],
  ] as const)('page kinds at the %s are those on the wire', (_side, reply) => {
    const { 'page-kinds': kinds } = reply()['x-sterna'];
    expect(kinds).toMatchObject({
      zero: { pages: sumOf('zeroPages'), bytes: truth.zeroRuns * PAGE_ENTRY_BYTES },
      raw: { pages: sumOf('rawPages'), bytes: sumOf('rawPages') * (4096 + PAGE_ENTRY_BYTES) },
    });
    expect(kinds.xbzrle?.pages).toBe(sumOf('xbzrlePages'));
    expect(kinds.xbzrle?.pages).toBeGreaterThan(100);
    const deltaBytes = truth.xbzrleBytes + sumOf('xbzrlePages') * PAGE_ENTRY_BYTES;
    // Behind the deltas of a batch up to 7 bytes of padding follow, which a destination cannot tell
    // from them.
    const batches = truth.messages.get('PAGE_BATCH') ?? 0;
    expect(kinds.xbzrle?.bytes).toBeGreaterThanOrEqual(deltaBytes);
    expect(kinds.xbzrle?.bytes).toBeLessThanOrEqual(deltaBytes + 7 * batches);
    expect(reply().ram).toMatchObject({
      normal: sumOf('rawPages'),
      'normal-bytes': sumOf('rawPages') * 4096,
      duplicate: sumOf('zeroPages'),
      remaining: 0,
      total: 16 * MIB,
    });
  });

  it('passes are those on the wire, one record each, and their sums are the totals', () => {
    const { passes } = sent['x-sterna'];
    expect(truth.passes.length).toBeGreaterThanOrEqual(4);
    expect(passes.map(({ stopped }) => stopped)).toEqual(truth.passes.map((pass) => pass.stopped));
    expect(passes).toMatchObject(
      truth.passes.map((pass) => ({
        pass: pass.pass,
        'dirty-pages': pass.dirtyPages,
        'sent-bytes': pass.bytes,
        'zero-pages': pass.zeroPages,
        'raw-pages': pass.rawPages,
        'xbzrle-pages': pass.xbzrlePages,
        'sent-pages': pass.zeroPages + pass.rawPages + pass.xbzrlePages,
      })),
    );
    const batchBytes = passes.reduce((sum, pass) => sum + Number(pass['sent-bytes']), 0);
    expect(batchBytes).toBe(sumOf('bytes'));
  });

  it('every page that was dirty is accounted for in its pass', () => {
    for (const [index, pass] of sent['x-sterna'].passes.entries()) {
      const handled = Number(pass['sent-pages']) + Number(pass['unchanged-pages']);
      // The first pass also tells of the pages that never held anything, as zero runs.
      if (index === 0) expect(handled).toBe((16 * MIB) / 4096);
      else expect(handled).toBe(pass['dirty-pages']);
    }
  });

  it('the next pass has the pages that became dirty in the one before', () => {
    const { passes } = sent['x-sterna'];
    for (const [index, pass] of passes.entries()) {
      const next = passes[index + 1];
      if (next === undefined) expect(pass['dirtied-pages']).toBe(0);
      // Between the last sync of pre-copy and the pause more may have come.
      else if (next.stopped) {
        expect(Number(next['dirty-pages'])).toBeGreaterThanOrEqual(Number(pass['dirtied-pages']));
      } else expect(next['dirty-pages']).toBe(pass['dirtied-pages']);
    }
  });

  it('dirty-sync-count is the number of MIGRATION_PASS events, which are counted in order', () => {
    const passes = source.events.filter(({ event }) => event === 'MIGRATION_PASS');
    expect(passes.map(({ data }) => data.pass)).toEqual(passes.map((_pass, index) => index + 1));
    expect(passes).toHaveLength(sent.ram['dirty-sync-count'] ?? 0);
    expect(received.ram['dirty-sync-count']).toBe(sent.ram['dirty-sync-count']);
    expect(source.events.filter(({ event }) => event === 'STOP')).toHaveLength(1);
  });

  it('the XBZRLE cache counts each lookup once', () => {
    const { 'xbzrle-cache': cache } = sent;
    const kinds = sent['x-sterna']['page-kinds'];
    expect(cache?.pages).toBe(
      sumOf('xbzrlePages') + (kinds.unchanged?.pages ?? 0) + (cache?.overflow ?? 0),
    );
    expect(cache?.bytes).toBe(kinds.xbzrle?.bytes);
  });
});
