import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/base/index.ts';
import {
  clientKey,
  newAuthority,
  serverKey,
  validity,
  writeTlsDirectory,
} from '../../support/test-keys.ts';
import { until } from '../../support/until.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';

/** Agents with keys: who may migrate where, and that a refusal harms neither side. */

const stage = new Stage();
const directories: Record<string, string> = {};

beforeAll(async () => {
  const authority = await newAuthority();
  const other = await newAuthority();
  const server = await serverKey(authority);
  const client = await clientKey(authority);
  const named = await serverKey(authority, { commonName: 'b.example', hosts: ['b.example'] });
  const write = (name: string, parts: Parameters<typeof writeTlsDirectory>[1]) => {
    directories[name] = writeTlsDirectory(join(stage.directory, 'keys', name), parts);
  };
  write('good', { authority, server, client });
  write('named', { authority, server: named });
  write('stranger', { authority: other, client: await clientKey(other) });
  // It trusts the destination, which does not trust it.
  write('pretender', { authority, client: await clientKey(other) });
  write('late', { authority, server: await serverKey(authority, validity(-10)), client });
  for (const [name, more] of [
    ['alice', []],
    ['mallory', []],
  ] as const) {
    const out = join(stage.directory, 'keys', name);
    const made = await runSterna(['keygen', '--out', out, '--psk', '--peer', 'alice', ...more]);
    expect(made.exitCode).toBe(0);
    directories[name] = join(out, 'keys.psk');
  }
});

const started = new Set<Site>();

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') process.stderr.write(`${stage.logs()}\n`);
  for (const site of started) await stop(site);
});
afterAll(() => stage.end());

const tls = (name: string, ...more: string[]) => ['--tls-dir', directories[name] ?? '', ...more];
const psk = (name: string, ...more: string[]) => ['--psk-file', directories[name] ?? '', ...more];

async function source(keys: readonly string[]): Promise<Site> {
  const site = await stage.source(`source-${stage.siteCount}`, { more: keys });
  started.add(site);
  return site;
}

async function destination(keys: readonly string[]): Promise<Site> {
  const site = await stage.destination(`destination-${stage.siteCount}`, keys);
  started.add(site);
  return site;
}

/** A guest that is not needed any more leaves the processors to the others. */
async function stop(site: Site): Promise<void> {
  started.delete(site);
  site.qmp.close();
  await stage.stop(site);
}

/** The source's guest runs on, and the error says that it does. */
async function fails(here: Site, uri: string, code: ErrorCode): Promise<void> {
  await here.migrate(uri);
  const { status, 'x-sterna': more } = await here.over();
  expect({ status, code: more.error?.code }).toEqual({ status: 'failed', code });
  expect(more.owner).toBe('source');
  await here.advances();
  await stop(here);
}

async function succeeds(here: Site, there: Site): Promise<void> {
  await here.migrate(listenUri(there));
  const { 'x-sterna': more } = await here.proven();
  expect(more.verify.status).toBe('identical');
  await until('the guest is there', async () => (await there.isRunning()) || undefined);
  await there.checkGuest();
}

describe('with certificates', () => {
  it('a destination takes who has them, after it refused others', async () => {
    const there = await destination(tls('good'));
    const uri = listenUri(there);
    await fails(await source(tls('stranger')), uri, 'E_TLS_UNKNOWN_CA');
    await fails(await source(tls('pretender')), uri, 'E_TLS_UNKNOWN_CA');
    await fails(await source([]), uri, 'E_CHANNEL_RESET');
    await fails(await source(psk('alice')), uri, 'E_TLS_HANDSHAKE');
    await succeeds(await source(tls('good')), there);
  });

  it('a guest can go on from where it came to', async () => {
    const [here, there, further] = [
      await source(tls('good')),
      await destination(tls('good')),
      await destination(tls('good')),
    ];
    await succeeds(here, there);
    await succeeds(there, further);
  });

  it('a source refuses a destination of another name, unless it expects that one', async () => {
    const there = await destination(tls('named'));
    await fails(await source(tls('good')), listenUri(there), 'E_TLS_HOSTNAME');
    const wrong = await source(tls('good', '--tls-hostname', 'c.example'));
    await fails(wrong, listenUri(there), 'E_TLS_HOSTNAME');
    await succeeds(await source(tls('good', '--tls-hostname', 'b.example')), there);
  });

  it('a destination refuses who is not on its list, and says so', async () => {
    const there = await destination(tls('good', '--allow-peer', 'source-2'));
    await fails(await source(tls('good')), listenUri(there), 'E_TLS_PEER_NOT_ALLOWED');
    const open = await destination(
      tls('good', '--allow-peer', 'source-2', '--allow-peer', 'source-1'),
    );
    await succeeds(await source(tls('good')), open);
  });

  it('a source says that the destination has no keys', async () => {
    const there = await destination([]);
    await fails(await source(tls('good')), listenUri(there), 'E_TLS_EXPECTED');
    await succeeds(await source([]), there);
  });

  it('an agent does not start with a certificate that has expired', async () => {
    const args = ['--name', 'late', '--state-dir', stage.stateDirectory('late')];
    const listen = ['--listen', 'tcp:127.0.0.1:0'];
    const run = await runSterna(['destination', ...args, ...listen, ...tls('late')]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('server-cert.pem has expired');
  });
});

describe('with a pre-shared key', () => {
  it('a destination takes who has it, after it refused who has another one', async () => {
    const there = await destination(psk('alice'));
    await fails(await source(psk('mallory')), listenUri(there), 'E_TLS_HANDSHAKE');
    await fails(await source(tls('good')), listenUri(there), 'E_TLS_HANDSHAKE');
    await succeeds(await source(psk('alice')), there);
  });
});

describe('without keys', () => {
  const everywhere = { uri: 'tcp:0.0.0.0:0' };

  it('migrate-incoming refuses an address of other hosts', async () => {
    const there = await destination([]);
    await expect(there.qmp.execute('migrate-incoming', everywhere)).rejects.toThrow();
    const run = await runSterna([
      ...['destination', '--name', 'open', '--state-dir', stage.stateDirectory('open')],
      ...['--listen', everywhere.uri],
    ]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('--insecure');
    const insecure = await destination(['--listen', everywhere.uri, '--insecure']);
    expect(listenUri(insecure)).toMatch(/^tcp:0\.0\.0\.0:\d+$/);
  });

  it('migrate refuses to send a guest to another host in the clear', async () => {
    const here = await source([]);
    // Nobody is asked: the address is one of the documentation (RFC 5737).
    await fails(here, 'tcp:192.0.2.1:4444', 'E_CONFIG_INVALID');
  });
});
