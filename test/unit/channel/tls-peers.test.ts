import { once } from 'node:events';
import tls from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  deferred,
  errorCodeFromNumber,
  type Logger,
  SternaError,
  silentLogger,
} from '../../../src/base/index.ts';
import {
  type Channel,
  connectTcp,
  parseTcpAddress,
  type Security,
  TcpListener,
} from '../../../src/channel/index.ts';
import type { CertificateAuthority } from '../../../src/control/keys/certificates.ts';
import { decodeError, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { clock } from '../../support/channel-harness.ts';
import { RecordingSink } from '../../support/recording-sink.ts';
import {
  clientKey,
  newAuthority,
  pskSecurity,
  serverKey,
  validity,
  x509Security,
} from '../../support/test-keys.ts';

/** The reason by which a meeting fails, or the channels of both ends. */
async function meet(accept: Security, connect: Security, host = '127.0.0.1') {
  const accepted = deferred<Channel>();
  const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
    clock,
    log: silentLogger(),
    connectionCountMax: 4,
    onConnection: (channel) => accepted.resolve(channel),
    security: accept,
  });
  onTestFinished(() => listener.close());
  const address = { ...listener.address, host };
  const channel = await connectTcp(address, { clock, timeoutMs: 5000, security: connect });
  onTestFinished(() => channel.destroy());
  return { channel, accepted: accepted.promise };
}

/** What the connecting end is told: when it connects, or by the last message that it gets. */
async function refusalOf(accept: Security, connect: Security, host?: string) {
  let channel: Channel;
  try {
    ({ channel } = await meet(accept, connect, host));
  } catch (error) {
    expect(error).toBeInstanceOf(SternaError);
    return (error as SternaError).code;
  }
  const sink = new RecordingSink();
  channel.start(sink);
  const closing = await sink.untilClosed();
  const told = sink.frames.find(({ header }) => header.type === MESSAGE_TYPES.ERROR);
  if (told === undefined) return closing?.code;
  const body = decodeError(told.body);
  return body.kind === 'ok' ? errorCodeFromNumber(body.body.code) : undefined;
}

async function expectMeeting(accept: Security, connect: Security, host?: string): Promise<void> {
  const { channel, accepted } = await meet(accept, connect, host);
  const sink = new RecordingSink();
  (await accepted).start(sink);
  await channel.send(MESSAGE_TYPES.PING, new Uint8Array(3));
  await sink.untilFrames(1);
}

let authority: CertificateAuthority;
let other: CertificateAuthority;
let server: Security;
let client: Security;

beforeAll(async () => {
  authority = await newAuthority();
  // The same name: only the key tells them apart.
  other = await newAuthority();
  server = x509Security(authority, await serverKey(authority));
  client = x509Security(authority, await clientKey(authority));
});

describe('with certificates', () => {
  test.each(['127.0.0.1', 'localhost'])(
    'connectTcp() meets a server that has the name %s',
    (host) => expectMeeting(server, client, host),
  );

  test('connectTcp() rejects a server whose certificate has another name, unless that is expected', async () => {
    const key = await serverKey(authority, { commonName: 'b.example', hosts: ['b.example'] });
    const elsewhere = x509Security(authority, key);
    expect(await refusalOf(elsewhere, client)).toBe('E_TLS_HOSTNAME');
    const own = await clientKey(authority);
    await expectMeeting(elsewhere, x509Security(authority, own, { hostname: 'b.example' }));
    const wrong = x509Security(authority, own, { hostname: 'c.example' });
    expect(await refusalOf(server, wrong)).toBe('E_TLS_HOSTNAME');
  });

  test('an accepted connection never resumes the session of another', async () => {
    const own = await clientKey(authority);
    const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
      clock,
      log: silentLogger(),
      connectionCountMax: 4,
      // Behind whatever the handshake brings: whoever has it has the tickets, if there are any.
      onConnection: (channel) => void channel.send(MESSAGE_TYPES.PING, new Uint8Array(3)),
      security: server,
    });
    onTestFinished(() => listener.close());
    const { port } = listener.address;
    const options = {
      ...{ port, host: 'localhost', ca: authority.own.certificate },
      ...{ cert: own.certificate, key: own.key },
    };
    const first = tls.connect(options);
    const sessions: Buffer[] = [];
    first.on('session', (session) => sessions.push(session));
    await once(first, 'data');
    first.destroy();
    sessions.push(first.getSession() ?? Buffer.alloc(0));
    for (const session of sessions) {
      const next = tls.connect({ ...options, session });
      await once(next, 'secureConnect');
      expect(next.isSessionReused()).toBe(false);
      next.destroy();
    }
  });

  test('connectTcp() rejects a server of another authority', async () => {
    const stranger = x509Security(other, await serverKey(other));
    expect(await refusalOf(stranger, client)).toBe('E_TLS_UNKNOWN_CA');
  });

  test.each([-10, 10])('connectTcp() rejects a server valid %i days away', async (days) => {
    const key = await serverKey(authority, validity(days));
    expect(await refusalOf(x509Security(authority, key), client)).toBe('E_TLS_CERTIFICATE');
  });

  test('TcpListener refuses a client of another authority, and says so', async () => {
    // It trusts the server's authority, so that it is the server who refuses.
    const key = await clientKey(other);
    expect(await refusalOf(server, x509Security(authority, key))).toBe('E_TLS_UNKNOWN_CA');
  });

  test.each([-10, 10])('TcpListener refuses a client valid %i days away', async (days) => {
    const key = await clientKey(authority, validity(days));
    expect(await refusalOf(server, x509Security(authority, key))).toBe('E_TLS_CERTIFICATE');
  });

  test("TcpListener refuses a server's certificate in the place of a client's", async () => {
    const key = await serverKey(authority);
    expect(await refusalOf(server, x509Security(authority, key))).toBe('E_TLS_CERTIFICATE');
  });

  test('TcpListener refuses a client that was revoked, and no other one', async () => {
    const revoked = await clientKey(authority);
    const { notBefore, notAfter } = validity();
    const revocations = await authority.revoke([revoked.certificate], notBefore, notAfter);
    const strict = x509Security(authority, await serverKey(authority), { revocations });
    expect(await refusalOf(strict, x509Security(authority, revoked))).toBe('E_TLS_CERTIFICATE');
    await expectMeeting(strict, client);
  });

  test('TcpListener refuses a client without a certificate', async () => {
    const anonymous = { ...client, certificate: undefined, key: undefined } as unknown as Security;
    expect(await refusalOf(server, anonymous)).toBe('E_TLS_HANDSHAKE');
  });

  test('TcpListener refuses who is not on its list, and takes who is by name or host', async () => {
    const key = await serverKey(authority);
    const only = (...allowedPeers: string[]) => x509Security(authority, key, { allowedPeers });
    expect(await refusalOf(only('source-2', 'source'), client)).toBe('E_TLS_PEER_NOT_ALLOWED');
    await expectMeeting(only('source-2', 'source-1'), client);
    const named = await clientKey(authority, { hosts: ['a.example', '10.0.0.1'] });
    await expectMeeting(only('a.example'), x509Security(authority, named));
    await expectMeeting(only('10.0.0.1'), x509Security(authority, named));
    const wild = await clientKey(authority, { commonName: '*.example', hosts: ['*.example'] });
    expect(await refusalOf(only('a.example'), x509Security(authority, wild))).toBe(
      'E_TLS_PEER_NOT_ALLOWED',
    );
  });

  test('connectTcp() rejects a server that is not on its list', async () => {
    const picky = x509Security(authority, await clientKey(authority), { allowedPeers: ['b'] });
    expect(await refusalOf(server, picky)).toBe('E_TLS_PEER_NOT_ALLOWED');
  });
});

describe('with a pre-shared key', () => {
  test('both ends meet when they have the same key', () =>
    expectMeeting(pskSecurity('alice', 1), pskSecurity('alice', 1)));

  test('connectTcp() rejects another key, and an identity that is not known', async () => {
    const accept = pskSecurity('alice', 1);
    expect(await refusalOf(accept, pskSecurity('alice', 2))).toBe('E_TLS_HANDSHAKE');
    expect(await refusalOf(accept, pskSecurity('bob', 1))).toBe('E_TLS_HANDSHAKE');
  });

  test('TcpListener refuses an identity that is not on its list', async () => {
    const refusal = await refusalOf(pskSecurity('alice', 1, ['bob']), pskSecurity('alice', 1));
    expect(refusal).toBe('E_TLS_PEER_NOT_ALLOWED');
    await expectMeeting(pskSecurity('alice', 1, ['alice']), pskSecurity('alice', 1));
  });

  test('connectTcp() rejects a server that has a certificate instead', async () => {
    expect(await refusalOf(server, pskSecurity('alice', 1))).toMatch(/^E_TLS_/);
  });

  test('TcpListener refuses a client that has a certificate instead', async () => {
    expect(await refusalOf(pskSecurity('alice', 1), client)).toBe('E_TLS_HANDSHAKE');
  });
});

test('connectTcp() rejects with E_TLS_EXPECTED when the server speaks no TLS', async () => {
  const accepted = deferred<Channel>();
  const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
    clock,
    log: silentLogger(),
    connectionCountMax: 4,
    onConnection: accepted.resolve,
  });
  onTestFinished(() => listener.close());
  const connecting = connectTcp(listener.address, { clock, timeoutMs: 5000, security: client });
  const refused = expect(connecting).rejects.toMatchObject({ code: 'E_TLS_EXPECTED' });
  const channel = await accepted.promise;
  const sink = new RecordingSink();
  channel.start(sink);
  expect((await sink.untilClosed())?.code).toBe('E_TLS_UNEXPECTED');
  // As an engine does.
  await channel.send(MESSAGE_TYPES.ERROR, new Uint8Array(9));
  await channel.end();
  await refused;
});

test('TcpListener refuses a client that speaks no TLS, and logs why', async () => {
  const refused = deferred<unknown>();
  const log: Logger = { ...silentLogger(), warn: (entry) => refused.resolve(entry) };
  const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
    clock,
    log,
    connectionCountMax: 4,
    onConnection: () => expect.unreachable(),
    security: server,
  });
  onTestFinished(() => listener.close());
  const channel = await connectTcp(listener.address, { clock, timeoutMs: 5000 });
  const sink = new RecordingSink();
  channel.start(sink);
  await channel.send(MESSAGE_TYPES.PING, new Uint8Array(300));
  expect(await refused.promise).toMatchObject({ code: 'E_TLS_EXPECTED' });
  await sink.untilClosed();
  expect(sink.frames).toEqual([]);
});
