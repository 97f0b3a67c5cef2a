import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  decodeJoin,
  encodeFrame,
  encodeJoin,
  FRAME_HEADER_BYTES,
  type JoinBody,
  MESSAGE_TYPES,
} from '../../../src/protocol/index.ts';
import { until } from '../../support/until.ts';
import type { CrossingFrame } from './frame-link.ts';
import { CREEPING, GUEST, postcopyOf, switched, UNLIMITED } from './postcopy-stage.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { withEveryGuest } from './test-guest.ts';

/** The link is lost while the guest runs at the destination and pages of it are at the source. */

/** JOIN with something else in it. */
function changed({ bytes }: CrossingFrame, changes: Partial<JoinBody>): Uint8Array {
  const decoded = decodeJoin(bytes.subarray(FRAME_HEADER_BYTES));
  if (decoded.kind === 'malformed') throw decoded.error;
  return encodeFrame(MESSAGE_TYPES.JOIN, 0, encodeJoin({ ...decoded.body, ...changes }));
}

withEveryGuest('post-copy whose link is lost', (guest) => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(guest);
  });

  afterEach(() => stage.end());

  async function arrivesWhole(source: Site, destination: Site): Promise<void> {
    await source.set(UNLIMITED);
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.hasStatus('completed');
    await destination.advances(100);
    await destination.checkGuest();
  }

  /** A pair in post-copy that does not recover by itself, on both sides of a broken link. */
  async function paused(): Promise<{ source: Site; destination: Site }> {
    const pair = await switched(stage, { 'x-mode': 'postcopy', 'x-auto-recover': 'off' });
    await pair.source.hasStatus('postcopy-active');
    await pair.source.qmp.execute('migrate-pause');
    await pair.destination.hasStatus('postcopy-paused');
    const reply = await pair.source.migration('a held pause', (now) => {
      return now.status === 'postcopy-paused' && postcopyOf(now)['waits-for-resume'];
    });
    expect(postcopyOf(reply)['paused-error']).toMatchObject({ code: 'E_CHANNEL_RESET' });
    return pair;
  }

  async function withPreempt() {
    const [source, destination] = await Promise.all([
      stage.source('source', { ...GUEST, vcpus: 2 }),
      stage.destination('destination'),
    ]);
    const capabilities = ['postcopy-ram', 'postcopy-preempt'].map((capability) => {
      return { capability, state: true };
    });
    await source.qmp.execute('migrate-set-capabilities', { capabilities });
    await source.set({ ...CREEPING, 'x-mode': 'postcopy' });
    await source.advances(1000);
    const { proxy, uri } = await stage.proxy(listenUri(destination));
    await source.migrate(uri);
    return { source, destination, proxy };
  }

  it('goes on by itself, as often as it is cut', async () => {
    let cut = () => {};
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' }, async (uri) => {
      const { proxy, uri: through } = await stage.proxy(uri);
      cut = () => proxy.cut();
      return through;
    });
    for (let recoveries = 1; recoveries <= 3; recoveries += 1) {
      await source.hasStatus('postcopy-active');
      cut();
      await source.migration(`recovery ${recoveries}`, (reply) => {
        return reply.status === 'postcopy-active' && postcopyOf(reply).recoveries === recoveries;
      });
      await destination.migration('the same there', (reply) => {
        return postcopyOf(reply).recoveries === recoveries;
      });
      await destination.event('MIGRATION', { status: 'postcopy-paused' });
      await destination.advances();
    }
    const reply = await source.query();
    expect(postcopyOf(reply)['paused-ms']).toBeGreaterThan(0);
    await source.event('MIGRATION', { status: 'postcopy-recover' });
    await arrivesWhole(source, destination);
  });

  it('goes on at another address, by hand, after what does not work', async () => {
    const { source, destination } = await paused();
    const { qmp } = source;
    // A destination that knows nothing of this migration changes nothing.
    const stranger = await stage.destination('stranger');
    await qmp.execute('migrate', { resume: true, uri: listenUri(stranger) });
    const refused = await source.migration('a refusal', (reply) => {
      return postcopyOf(reply)['paused-error']?.code === 'E_RECOVERY_REFUSED';
    });
    expect(refused['x-sterna'].owner).toBe('destination');
    await source.hasStatus('postcopy-paused');
    expect(await stranger.query()).toMatchObject({ status: 'setup' });
    // The old address is given up for the new one.
    await destination.qmp.execute('migrate-recover', { uri: 'tcp:127.0.0.1:0' });
    const { 'socket-address': places } = await destination.query();
    const [{ host, port } = { host: '', port: '' }] = places ?? [];
    const uri = `tcp:${host}:${port}`;
    expect(uri).not.toBe(listenUri(destination));
    await qmp.execute('migrate', { resume: true, uri });
    const active = await source.hasStatus('postcopy-active');
    expect(postcopyOf(active)).toMatchObject({ recoveries: 1, 'waits-for-resume': false });
    expect(postcopyOf(active)).not.toHaveProperty('paused-error');
    await arrivesWhole(source, destination);
  });

  it('is not taken over with another secret or epoch, and goes on with the right ones', async () => {
    const tampering: Partial<JoinBody>[] = [{ secret: '0'.repeat(32) }, { epoch: 7 }];
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' }, async (uri) => {
      const judge = (frame: CrossingFrame) => {
        const changes = frame.name === 'JOIN' ? tampering.shift() : undefined;
        return changes === undefined ? 'pass' : changed(frame, changes);
      };
      return (await stage.link(uri, judge)).uri;
    });
    await source.hasStatus('postcopy-active');
    await source.qmp.execute('migrate-pause');
    const pauses = () =>
      source.events.filter(
        ({ event, data }) => event === 'MIGRATION' && data.status === 'postcopy-paused',
      ).length;
    await until('the pause', () => pauses() === 1 || undefined);
    for (const attempt of [1, 2]) {
      await source.qmp.execute('migrate', { resume: true });
      await until(`refusal ${attempt}`, () => pauses() === 1 + attempt || undefined);
      // What is refused once is refused again, so that it waits for a word of its operator.
      await source.migration('a refusal', (reply) => {
        const ours = postcopyOf(reply);
        return ours['paused-error']?.code === 'E_RECOVERY_REFUSED' && ours['waits-for-resume'];
      });
      expect(tampering).toHaveLength(2 - attempt);
      expect((await destination.query()).status).toBe('postcopy-paused');
    }
    await source.qmp.execute('migrate', { resume: true });
    await source.hasStatus('postcopy-active');
    await arrivesWhole(source, destination);
  });

  it('recovers with both connections of postcopy-preempt', async () => {
    const { source, destination, proxy } = await withPreempt();
    for (let recoveries = 1; recoveries <= 2; recoveries += 1) {
      await source.hasStatus('postcopy-active');
      proxy.cut();
      await source.migration(`recovery ${recoveries}`, (reply) => {
        return reply.status === 'postcopy-active' && postcopyOf(reply).recoveries === recoveries;
      });
      // One for everything and one for what vCPUs wait for, each time.
      await until('both connections', () => {
        return proxy.connectionCount === 2 + 2 * recoveries || undefined;
      });
      await destination.advances();
    }
    await arrivesWhole(source, destination);
  });

  it('goes on at the address of before when none is given', async () => {
    const { source, destination } = await paused();
    await source.qmp.execute('migrate', { resume: true });
    await arrivesWhole(source, destination);
  });

  it('can be broken from the destination', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    await destination.qmp.execute('migrate-pause');
    // The source was not told to leave it at that.
    await source.migration('recovery', (reply) => postcopyOf(reply).recoveries === 1);
    await arrivesWhole(source, destination);
  });

  it('says that the guest is lost when the destination has died, and goes back on a word', async () => {
    const { source, destination } = await paused();
    await stage.kill(destination);
    const again = await stage.destination('again', [
      ...['--state-dir', stage.stateDirectory('destination')],
    ]);
    await source.qmp.execute('migrate', { resume: true, uri: listenUri(again) });
    const lost = await source.over();
    expect(lost).toMatchObject({
      status: 'failed',
      'x-sterna': { error: { code: 'E_GUEST_LOST' } },
    });
    expect(await source.isRunning()).toBe(false);
    await expect(source.qmp.execute('cont')).rejects.toMatchObject({
      sternaError: { code: 'E_OWNERSHIP_UNKNOWN' },
    });
    await source.qmp.execute('cont', { 'x-take-ownership': true });
    expect(await source.isRunning()).toBe(true);
    await source.advances(100);
    await source.checkGuest();
    // And it can leave anew.
    await source.migrate(listenUri(again));
    await arrivesWhole(source, again);
  });

  it('takes no other guest where the pages are served from', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    await expect(
      source.qmp.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' }),
    ).rejects.toMatchObject({ sternaError: { code: 'E_STATE' } });
    await arrivesWhole(source, destination);
  });

  it('serves what is missing before it ends, when it is asked once', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    await source.qmp.execute('quit');
    await until(
      'the log says why',
      () =>
        source.agent.logLines.some((line) => line.includes('agent.shutdown-deferred')) || undefined,
    );
    expect(await source.query()).toMatchObject({ status: 'postcopy-active' });
    await source.set(UNLIMITED);
    await destination.hasStatus('completed');
    expect(await source.agent.exited).toMatchObject({ code: 0 });
    await destination.advances(100);
    await destination.checkGuest();
  });

  it('ends at once, when it is asked twice', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    await source.qmp.execute('quit');
    await source.qmp.execute('quit');
    expect(await source.agent.exited).toMatchObject({ code: 0 });
    const reply = await destination.hasStatus('postcopy-paused');
    expect(postcopyOf(reply).remaining).toBeGreaterThan(0);
    expect(reply['x-sterna'].owner).toBe('destination');
  });
});
