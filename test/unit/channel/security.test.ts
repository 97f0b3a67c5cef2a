import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { deferred, SimClock, silentLogger, systemClock } from '../../../src/base/index.ts';
import {
  type Channel,
  connectTcp,
  loadSecurity,
  parseAddress,
  parseTcpAddress,
  requireProtected,
  TcpListener,
} from '../../../src/channel/index.ts';
import { HeldReads } from '../../../src/channel/security/held-reads.ts';
import { Places } from '../../../src/channel/security/places.ts';
import { formatPskLine, parsePskFile } from '../../../src/channel/security/psk-file.ts';
import { inTemporaryDirectory } from '../../support/channel-harness.ts';
import {
  clientKey,
  newAuthority,
  pskSecurity,
  serverKey,
  writeTlsDirectory,
} from '../../support/test-keys.ts';

const KEY = '00112233445566778899aabbccddeeff';

describe('parsePskFile()', () => {
  test('reads lines of identity and key, as formatPskLine() writes them', () => {
    const key = Uint8Array.from(Buffer.from(KEY, 'hex'));
    const text = `# made by hand\n\n${formatPskLine({ identity: 'a:b', key })}qemu:${KEY}${KEY}\r\n`;
    const keys = parsePskFile(text, 'keys.psk');
    expect(keys.map(({ identity }) => identity)).toEqual(['a:b', 'qemu']);
    expect(keys[0]?.key).toEqual(key);
  });

  test.each([
    ['', 'no key'],
    ['qemu', 'identity is missing'],
    [`:${KEY}`, 'identity is missing'],
    ['qemu:xyz', 'not hexadecimal'],
    [`qemu:${KEY}0`, 'not hexadecimal'],
    ['qemu:0011', '16 to 64 bytes'],
    [`qemu:${KEY}\nqemu:${KEY}`, 'two keys'],
    [`${'x'.repeat(129)}:${KEY}`, 'more than 128 bytes'],
  ])('refuses %j', (text, reason) => {
    expect(() => parsePskFile(text, 'keys.psk')).toThrow(reason);
  });

  test('names the line of what it refuses, and never the key', () => {
    const secret = `${KEY}zz`;
    expect(() => parsePskFile(`# x\nqemu:${secret}`, 'keys.psk')).toThrow(/line 2/);
    expect(() => parsePskFile(`qemu:${secret}`, 'keys.psk')).not.toThrow(secret);
  });
});

describe('loadSecurity()', () => {
  test('refuses a key that others could read, and says what to do', () =>
    inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'keys.psk');
      writeFileSync(path, `qemu:${KEY}\n`, { mode: 0o600 });
      expect(loadSecurity({ pskFile: path }, 'connect').kind).toBe('psk');
      chmodSync(path, 0o640);
      expect(loadSecurity({ pskFile: path }, 'connect').kind).toBe('psk');
      chmodSync(path, 0o644);
      expect(() => loadSecurity({ pskFile: path }, 'connect')).toThrow('Others could use the key');
    }));

  test('puts the identity of this side first, and refuses one that has no key', () =>
    inTemporaryDirectory(async (directory) => {
      const path = join(directory, 'keys.psk');
      writeFileSync(path, `alice:${KEY}\nbob:${KEY}\n`, { mode: 0o600 });
      const security = loadSecurity({ pskFile: path, pskIdentity: 'bob' }, 'connect');
      expect(security.kind === 'psk' && security.keys[0]?.identity).toBe('bob');
      expect(() => loadSecurity({ pskFile: path, pskIdentity: 'eve' }, 'connect')).toThrow('eve');
    }));

  test('takes the certificate of the side, and names the file that is missing or wrong', () =>
    inTemporaryDirectory(async (directory) => {
      const authority = await newAuthority();
      const [server, client] = [await serverKey(authority), await clientKey(authority)];
      const settings = { tlsDirectory: writeTlsDirectory(directory, { authority, server }) };
      expect(loadSecurity(settings, 'accept')).toMatchObject({ certificate: server.certificate });
      expect(() => loadSecurity(settings, 'connect')).toThrow('client-cert.pem');
      const mixed = { certificate: client.certificate, key: server.key };
      writeTlsDirectory(directory, { authority, client: mixed });
      expect(() => loadSecurity(settings, 'connect')).toThrow('do not belong together');
      writeTlsDirectory(directory, { authority, client });
      expect(loadSecurity(settings, 'connect')).toMatchObject({ key: client.key });
      writeFileSync(join(directory, 'ca-crl.pem'), 'nothing');
      expect(() => loadSecurity(settings, 'connect')).toThrow('ca-crl.pem');
    }));

  test('refuses both kinds of keys, a list without keys, and names that would be patterns', () => {
    expect(() => loadSecurity({ tlsDirectory: 'a', pskFile: 'b' }, 'accept')).toThrow('exclude');
    expect(() => loadSecurity({ allowedPeers: ['a'] }, 'accept')).toThrow('Without keys');
  });
});

test('requireProtected() lets only the loopback, keys or insecure pass', () => {
  const check = (uri: string, settings = {}) =>
    requireProtected(parseAddress(uri), settings, 'listen');
  for (const uri of ['tcp:127.0.0.1:1', 'tcp:[::1]:1', 'tcp:localhost:1', 'file:/x']) check(uri);
  for (const uri of ['tcp:0.0.0.0:1', 'tcp:[::]:1', 'tcp:10.0.0.1:1', 'tcp:host:1']) {
    expect(() => check(uri)).toThrow('without a key');
    for (const settings of [{ insecure: true }, { pskFile: 'x' }, { tlsDirectory: 'x' }]) {
      check(uri, settings);
    }
  }
});

test('HeldReads keeps what comes early, in order, with the end behind it', () => {
  const seen: string[] = [];
  const area = new Uint8Array(4);
  const callback = (count: number) => {
    seen.push(Buffer.from(area.subarray(0, count)).toString());
    return seen.length < 5;
  };
  const held = new HeldReads({ buffer: () => area, callback }, () => seen.push('overflow'));
  const come = (text: string) => {
    held.buffer().set(Buffer.from(text));
    return held.callback(text.length);
  };
  expect([come('abcdef'), come('gh')]).toEqual([false, false]);
  held.ended(() => seen.push('end'));
  // A buffer that was asked for before the release is filled after it.
  const asked = held.buffer();
  held.release();
  expect(seen).toEqual(['abcd', 'ef', 'gh', 'end']);
  asked.set(Buffer.from('xy'));
  expect(held.callback(2)).toBe(false);
  // It has said stop: nothing more reaches it.
  expect(come('zz')).toBe(false);
  expect(seen).toEqual(['abcd', 'ef', 'gh', 'end', 'xy']);
});

test('HeldReads gives up when more comes than one read could bring', () => {
  let overflows = 0;
  const target = { buffer: () => new Uint8Array(1), callback: () => true };
  const held = new HeldReads(target, () => {
    overflows += 1;
  });
  for (let piece = 0; piece < 9; piece += 1) held.callback(held.buffer().length);
  expect(overflows).toBe(1);
});

test('Places drops the oldest of a crowded host, else the oldest of all', () => {
  const dropped: string[] = [];
  const places = new Places({ total: 3, perHost: 2 });
  const place = (name: string) => ({ host: name.charAt(0), drop: () => dropped.push(name) });
  for (const name of ['a1', 'b1', 'b2', 'b3']) places.takeFromOldest(place(name));
  expect(dropped).toEqual(['b1']);
  places.takeFromOldest(place('c1'));
  expect(dropped).toEqual(['b1', 'a1']);
  expect([places.take(place('b4')), places.take(place('d1'))]).toEqual([false, false]);
});

describe('TcpListener with keys', () => {
  test('drops who does not finish the handshake in time, and takes a peer through a crowd', async () => {
    const simulated = new SimClock();
    const accepted = deferred<Channel>();
    const listener = await TcpListener.listen(parseTcpAddress('tcp:127.0.0.1:0'), {
      clock: simulated,
      log: silentLogger(),
      connectionCountMax: 1,
      onConnection: (channel) => accepted.resolve(channel),
      security: pskSecurity('alice', 1),
    });
    onTestFinished(() => listener.close());
    const { port } = listener.address;
    const crowd = await Promise.all(
      Array.from({ length: 80 }, async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => {});
        const over = once(socket, 'close').catch(() => {});
        await once(socket, 'connect');
        // Half of a record that is never finished.
        socket.write(Uint8Array.of(22, 3, 1, 64));
        socket.resume();
        return { socket, over };
      }),
    );
    const options = { clock: systemClock(), timeoutMs: 5000, security: pskSecurity('alice', 1) };
    const channel = await connectTcp(listener.address, options);
    await accepted.promise;
    await simulated.advance(6000);
    // None is left, whether it was dropped for another one or for its time.
    await Promise.all(crowd.map(({ over }) => over));
    channel.destroy();
  });
});
