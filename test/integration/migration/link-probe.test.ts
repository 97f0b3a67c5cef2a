import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame, encodeProbe, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { until } from '../../support/until.ts';
import { HostileClient } from './hostile-client.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';

/**
 * `x-probe-link` between agents: what it measures, whom it must not disturb, and that the
 * destination still waits for its guest afterwards.
 */

const MB = 1e6;

interface ProbedLink {
  readonly 'bytes-per-second': number;
  readonly 'round-trip-us': number;
  readonly 'sent-bytes': number;
}

async function probe({ qmp }: Site, uri: string, seconds = 1): Promise<ProbedLink> {
  return (await qmp.execute('x-probe-link', { uri, seconds })) as ProbedLink;
}

/** The code of what the agent refuses with. */
async function refusal(work: Promise<unknown>): Promise<string | undefined> {
  const error = await work.then(
    () => undefined,
    (thrown: { sternaError?: { code: string } }) => thrown,
  );
  return error?.sternaError?.code;
}

describe('x-probe-link', () => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${stage.logs()}\n`);
    await stage.end();
  });

  it('measures a shaped link, and a guest follows by it', async () => {
    const [here, there] = [await stage.source('here'), await stage.destination('there')];
    const { uri } = await stage.proxy(listenUri(there), {
      toTarget: { bandwidthBytesPerSecond: 8 * MB, delayMs: 10 },
      toClient: { delayMs: 10 },
    });
    const before = await there.query();
    const measured = await probe(here, uri);
    // A busy host makes the proxy slower, and lets it catch up a tenth of a second.
    expect(measured['bytes-per-second']).toBeLessThan(1.25 * 8 * MB);
    expect(measured['bytes-per-second']).toBeGreaterThan(MB);
    expect(measured['round-trip-us']).toBeGreaterThanOrEqual(19_000);
    expect(measured['sent-bytes']).toBeGreaterThan(MB);
    expect(await there.query()).toEqual(before);
    expect(await there.runState()).toMatchObject({ status: 'inmigrate' });
    // Twice, and straight on.
    await probe(here, listenUri(there));
    await here.migrate(listenUri(there));
    expect((await here.proven())['x-sterna'].verify.status).toBe('identical');
    // Where a guest is, nobody measures.
    const other = await stage.source('other');
    expect(await refusal(probe(other, listenUri(there)))).toBe('E_BUSY');
    await there.checkGuest();
  });

  it('is refused while a guest comes, which arrives whole', async () => {
    const [here, there, other] = [
      await stage.source('leaving'),
      await stage.destination('taking'),
      await stage.source('asking'),
    ];
    await here.set({ 'max-bandwidth': MB });
    await here.migrate(listenUri(there));
    await here.hasStatus('active');
    expect(await refusal(probe(other, listenUri(there)))).toBe('E_BUSY');
    expect(await refusal(probe(here, listenUri(there)))).toBe('E_STATE');
    await here.set({ 'max-bandwidth': 0 });
    expect((await here.proven())['x-sterna'].verify.status).toBe('identical');
  });

  it('makes way for a guest', async () => {
    const [here, there, other] = [
      await stage.source('mover'),
      await stage.destination('taker'),
      await stage.source('prober'),
    ];
    const { proxy, uri } = await stage.proxy(listenUri(there), {
      toTarget: { bandwidthBytesPerSecond: MB },
    });
    const probing = refusal(probe(other, uri, 10));
    await until('the probe fills its link', () => proxy.toTarget.forwardedBytes > 1e5 || undefined);
    await here.migrate(listenUri(there));
    expect(await probing).toBe('E_BUSY');
    expect((await here.proven())['x-sterna'].verify.status).toBe('identical');
  });

  it('ends when its own guest leaves', async () => {
    const [here, there, other] = [
      await stage.source('hurried'),
      await stage.destination('far'),
      await stage.destination('near'),
    ];
    const { proxy, uri } = await stage.proxy(listenUri(there), {
      toTarget: { bandwidthBytesPerSecond: MB },
    });
    const probing = refusal(probe(here, uri, 10));
    await until('the probe fills its link', () => proxy.toTarget.forwardedBytes > 1e5 || undefined);
    // Another client, for the one that probes waits for its answer.
    const second = await here.agent.connect();
    await second.execute('migrate', { uri: listenUri(other) });
    second.close();
    expect(await probing).toBe('E_CANCELLED');
    await here.proven();
    const late = await stage.source('late');
    await until('the destination is free', async () => {
      const refused = await refusal(probe(late, listenUri(there)));
      expect([undefined, 'E_BUSY']).toContain(refused);
      return refused === undefined || undefined;
    });
  });

  it('keeps a stranger who never ends it no longer than its time', async () => {
    const [here, there] = [await stage.source('honest'), await stage.destination('patient')];
    const client = await HostileClient.connect(listenUri(there));
    const body = encodeProbe({ protocol: 1, durationMs: 1 });
    client.send(encodeFrame(MESSAGE_TYPES.PROBE, 0, body));
    await until('he is let in', () => client.heard.includes('PROBE_ACK') || undefined);
    expect(await refusal(probe(here, listenUri(there)))).toBe('E_BUSY');
    await client.closed();
    expect(client.heard).toEqual(['PROBE_ACK', 'ERROR']);
    await probe(here, listenUri(there));
  });

  it('has the security of a migration', async () => {
    const keys = (name: string) => join(stage.directory, 'keys', name);
    for (const name of ['right', 'wrong']) {
      const made = await runSterna(['keygen', '--out', keys(name), '--psk', '--peer', 'tern']);
      expect(made.exitCode).toBe(0);
    }
    const psk = (name: string) => ['--psk-file', join(keys(name), 'keys.psk')];
    const there = await stage.destination('guarded', psk('right'));
    const stranger = await stage.source('stranger', { more: psk('wrong') });
    expect(await refusal(probe(stranger, listenUri(there)))).toBe('E_TLS_HANDSHAKE');
    const plain = await stage.source('plain');
    expect(await refusal(probe(plain, listenUri(there)))).toBe('E_CHANNEL_RESET');
    const friend = await stage.source('friend', { more: psk('right') });
    expect((await probe(friend, listenUri(there)))['bytes-per-second']).toBeGreaterThan(0);
  });

  it.each([
    ['seconds are out of range', { uri: 'tcp:127.0.0.1:1', seconds: 11 }, 'E_CONFIG_INVALID'],
    ['the target is a file', { uri: 'file:/nowhere' }, 'E_CONFIG_INVALID'],
    ['the target is elsewhere without keys', { uri: 'tcp:192.0.2.1:1' }, 'E_CONFIG_INVALID'],
    ['nobody listens', { uri: 'tcp:127.0.0.1:1' }, 'E_CHANNEL_REFUSED'],
  ])('says so when %s', async (_, values, code) => {
    const here = await stage.source('alone', { workload: 'idle' });
    expect(await refusal(here.qmp.execute('x-probe-link', values))).toBe(code);
  });
});
