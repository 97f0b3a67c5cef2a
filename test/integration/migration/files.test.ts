import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/base/index.ts';
import { oneOf } from './crossing.ts';
import {
  CONVERGES,
  expectEqualMemory,
  NEVER_CONVERGES,
  savedMemory,
  throughPasses,
} from './guest-memory-file.ts';
import type { Site } from './site.ts';
import { Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';
import { tallyStream } from './stream-tally.ts';
import { withEveryGuest } from './test-guest.ts';

/** To a file and out of it, with the same stream as over a connection. */

const RAM_BYTES = 16 * 2 ** 20;
const WORKLOAD = 'memwrite,fill=6M,hot=2M,rate=20000,words=8,step=512';

withEveryGuest('migration to and from a file', (guest) => {
  let stage: Stage;
  let path: string;
  let uri: string;

  beforeEach(() => {
    stage = new Stage(guest);
    path = join(stage.directory, 'guest.sterna');
    uri = `file:${path}`;
  });

  afterEach(() => stage.end());

  /** The RAM of a guest that was loaded paused is that of the guest that was saved. */
  async function expectLoaded(source: Site, loaded: Site): Promise<void> {
    const reply = await loaded.hasStatus('completed');
    expect(reply['x-sterna']).toMatchObject({ owner: 'destination', epoch: 2 });
    expect(reply['x-sterna'].verify).toMatchObject({ status: 'identical', pages: 4096 });
    const saved = (site: Site) =>
      savedMemory(site, stage.stateDirectory(`${site.name}.bin`), RAM_BYTES);
    const [sent, arrived] = await Promise.all([saved(source), saved(loaded)]);
    expectEqualMemory(arrived, sent);
    await loaded.checkGuest();
    await loaded.qmp.execute('cont');
    await loaded.advances(100);
    await loaded.checkGuest();
  }

  it('saves a cold guest, which `sterna destination --listen file:` loads, once', async () => {
    const source = await savedGuest(stage, uri);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${path}.partial`)).toBe(false);
    const stream = tallyStream(readFileSync(path));
    expect((await source.query()).ram.transferred).toBe(stream.bytes);
    expect(stream.grantedAt).toBe(stream.bytes);
    const dumped = await runSterna(['dump', path, '--strict']);
    expect(dumped).toMatchObject({ exitCode: 0, stderr: '' });

    const loader = ['--listen', uri, '--paused', '--state-dir', stage.stateDirectory('loader')];
    const loaded = await stage.destination('loader', loader);
    await expectLoaded(source, loaded);
    // Whoever has run that guest does not run its past.
    await stage.stop(loaded);
    const again = await stage.destination('again', loader);
    const refused = await again.hasStatus('failed');
    expect(refused['x-sterna'].error?.code).toBe('E_HANDSHAKE_EPOCH');
    expect(await again.isRunning()).toBe(false);
  });

  it('saves a guest while it runs, which migrate-incoming loads', async () => {
    const source = await stage.source('source', { workload: WORKLOAD, vcpus: 2 });
    await source.enable('xbzrle');
    await throughPasses(source, uri, 2);
    const { 'x-sterna': ours, downtime } = await source.hasStatus('completed');
    expect(downtime).toEqual(expect.any(Number));
    expect(ours.passes.length).toBeGreaterThan(2);
    expect(ours['page-kinds'].xbzrle?.pages).toBeGreaterThan(0);
    const other = await stage.source('other', { workload: 'idle' });
    const parked = await stage.destination('parked');
    await other.migrate(String(parked.agent.ready.listen));
    await other.proven();
    // An agent that gave its own guest away takes another one out of a file.
    await other.qmp.execute('stop');
    await other.listen(uri);
    const reply = await other.migration('an arrival', ({ status, 'x-sterna': now }) => {
      return status === 'completed' && now.side === 'destination';
    });
    expect(reply['x-sterna'].verify.status).toBe('identical');
    await other.qmp.execute('cont');
    await other.advances(100);
    await other.checkGuest();
  });

  it('fails with E_FILE and goes on when the folder is missing', async () => {
    const source = await stage.source('source', { workload: WORKLOAD });
    await source.migrate(`file:${join(stage.directory, 'none', 'guest.sterna')}`);
    const reply = await source.over();
    expect(reply).toMatchObject({
      status: 'failed',
      'error-desc': expect.stringContaining('ENOENT'),
      'x-sterna': { owner: 'source', error: { code: 'E_FILE', guestOwner: 'source' } },
    });
    expect(await source.isRunning()).toBe(true);
    await source.checkGuest();
    await source.set(CONVERGES);
    await source.migrate(uri);
    await source.hasStatus('completed');
  });

  it('leaves no file behind when it is cancelled', async () => {
    const source = await stage.source('source', { workload: WORKLOAD });
    await source.set({ ...NEVER_CONVERGES, 'max-bandwidth': 2 ** 20 });
    await source.migrate(uri);
    await source.hasStatus('active');
    await source.qmp.execute('migrate_cancel');
    const reply = await source.over();
    expect(reply).toMatchObject({ status: 'cancelled', 'x-sterna': { owner: 'source' } });
    expect(await source.isRunning()).toBe(true);
    await source.set(CONVERGES);
    await source.migrate(uri);
    const saved = await source.hasStatus('completed');
    expect(existsSync(`${path}.partial`)).toBe(false);
    // However short its passes are, what the file takes is soon known.
    expect(saved['x-sterna'].passes.length).toBeLessThan(100);
  });

  it('does not start when there is no file to load', async () => {
    await expect(stage.destination('loader', ['--listen', `${uri}.none`])).rejects.toMatchObject({
      code: 'E_WORKER_DIED',
      detail: { code: 1 },
    });
  });
});

withEveryGuest('a damaged file', (guest) => {
  const stage = new Stage(guest);
  const whole = join(stage.directory, 'guest.sterna');

  beforeAll(async () => {
    await savedGuest(stage, `file:${whole}`);
  });

  afterAll(() => stage.end());

  /** Loads a file with that content, in vain. Resolves to where it is. */
  async function expectRefused(content: Uint8Array, codes: readonly ErrorCode[]): Promise<string> {
    const name = `damaged-${stage.siteCount}`;
    const path = join(stage.directory, name);
    writeFileSync(path, content);
    const loader = await stage.destination(`loader-of-${name}`, ['--listen', `file:${path}`]);
    const refused = await loader.hasStatus('failed');
    expect(refused['x-sterna'].error).toMatchObject({ code: oneOf(codes), side: 'destination' });
    expect(await loader.runState()).toEqual({ running: false, status: 'inmigrate' });
    return path;
  }

  it.each([
    ['in HELLO', 0.00001],
    ['among the pages', 0.4],
    ['before GRANT', 0.99999],
  ])('that ends %s is not loaded, and dump exits with 1', async (_where, share) => {
    const bytes = readFileSync(whole);
    const path = await expectRefused(bytes.subarray(0, Math.ceil(bytes.length * share)), [
      'E_PROTOCOL_TRUNCATED',
    ]);
    const dumped = await runSterna(['dump', path]);
    expect(dumped.exitCode).toBe(1);
    expect(dumped.stderr).toMatch(/^sterna: .*\[E_PROTOCOL_TRUNCATED\]\n {2}next: /);
  });

  it.each([
    ['HELLO', 0, 40, ['E_PROTOCOL_CHECKSUM']],
    ['a page', 0.5, 0, ['E_PAGE_HASH', 'E_PROTOCOL_CHECKSUM', 'E_PROTOCOL_BAD_HEADER']],
    ['its last octet', 1, -1, ['E_PROTOCOL_CHECKSUM']],
  ] as const)('whose damage is in %s is not loaded', async (_where, share, offset, codes) => {
    const bytes = readFileSync(whole);
    const at = Math.floor(bytes.length * share) + offset;
    bytes[at] = (bytes[at] ?? 0) ^ 0x04;
    await expectRefused(bytes, codes);
  });
});

/**
 * A guest that lies in the file, in cold mode; what is left of it at the source is compared with
 * what is loaded.
 */
async function savedGuest(stage: Stage, uri: string): Promise<Site> {
  const source = await stage.source('source', { workload: WORKLOAD });
  await source.set({ 'x-mode': 'stop' });
  await source.migrate(uri);
  const { 'x-sterna': ours } = await source.hasStatus('completed');
  expect(ours).toMatchObject({ owner: 'destination', epoch: 2, mode: 'stop' });
  return source;
}
