import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Agent, QmpClient } from '../../../src/control/index.ts';
import { AgentHarness, IDLE_GUEST } from './agent-harness.ts';
import { RawQmp } from './raw-qmp.ts';

/**
 * The conversation as such: greeting, negotiation, ids, garbage, several clients. What commands do
 * is tested elsewhere.
 */

describe('QMP conversation', () => {
  const harness = new AgentHarness();
  let agent: Agent;
  let unix: string;
  let tcp: string;

  beforeAll(async () => {
    unix = `unix:${join(harness.directory, 'qmp')}`;
    agent = await harness.start({
      name: 'a',
      role: 'source',
      machine: IDLE_GUEST,
      qmp: [unix, 'tcp:127.0.0.1:0'],
    });
    tcp = agent.ready.qmp[1] ?? '';
  });

  afterAll(() => harness.end());

  async function negotiated(address = unix): Promise<RawQmp> {
    const raw = await RawQmp.connect(address);
    await raw.negotiate();
    return raw;
  }

  it('ready names real ports when 0 was asked for', () => {
    expect(agent.ready.qmp[0]).toBe(unix);
    expect(tcp).toMatch(/^tcp:127\.0\.0\.1:[1-9]\d*$/);
  });

  it('the Unix socket is for its owner only', () => {
    expect(statSync(unix.slice('unix:'.length)).mode & 0o777).toBe(0o600);
  });

  it('greets as QEMU, on each of its sockets', async () => {
    for (const address of [unix, tcp]) {
      const raw = await RawQmp.connect(address);
      expect(await raw.next()).toEqual({
        QMP: {
          version: {
            qemu: { major: 10, minor: 2, micro: 2 },
            package: expect.stringMatching(/^sterna \d/),
          },
          capabilities: [],
        },
      });
      raw.socket.destroy();
    }
  });

  it('refuses commands before the negotiation, and a second negotiation', async () => {
    const raw = await RawQmp.connect(unix);
    await raw.next();
    raw.send('{"execute":"query-status","id":1}\n');
    expect(await raw.next()).toEqual({
      id: 1,
      error: {
        class: 'CommandNotFound',
        desc: "Expecting capabilities negotiation with 'qmp_capabilities'",
      },
    });
    raw.send('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}\n');
    expect(await raw.next()).toMatchObject({ error: { desc: 'Capability oob not available' } });
    raw.send('{"execute":"qmp_capabilities"}\n');
    expect(await raw.next()).toEqual({ return: {} });
    raw.send('{"execute":"qmp_capabilities"}\n');
    expect(await raw.next()).toMatchObject({ error: { class: 'CommandNotFound' } });
    raw.socket.destroy();
  });

  it('echoes any id, in replies and in errors', async () => {
    const raw = await negotiated();
    for (const id of [1, 'a', null, { a: [1] }]) {
      raw.send(`${JSON.stringify({ execute: 'query-name', id })}\n`);
      expect(await raw.next()).toEqual({ return: { name: 'a' }, id });
      raw.send(`${JSON.stringify({ execute: 'query-name', arguments: { x: 1 }, id })}\n`);
      expect(await raw.next()).toMatchObject({ error: { class: 'GenericError' }, id });
    }
    raw.socket.destroy();
  });

  it('answers in order when several commands come in one packet, and in pieces', async () => {
    const raw = await negotiated();
    raw.send('{"execute":"query-name","id":1}{"execute":"nope","id":2}\r\n{"execute":"query-uu');
    raw.send('id","id":3}');
    const replies = [await raw.next(), await raw.next(), await raw.next()];
    expect(replies.map((reply) => reply?.id)).toEqual([1, 2, 3]);
    raw.socket.destroy();
  });

  it.each([
    ['hello there', 'JSON parse error'],
    ['{"execute":', 'JSON parse error'],
    ['{"execute":tru}', 'JSON parse error'],
    ['\u0000\u0001\u00ff', 'JSON parse error'],
    ['[1,2]', 'QMP input must be a JSON object'],
    ['{}', "QMP input lacks member 'execute'"],
    ['{"execute":1}', "QMP input member 'execute' must be a string"],
    ['{"execute":"stop","arguments":[]}', "QMP input member 'arguments' must be an object"],
    ['{"execute":"stop","foo":1}', "QMP input member 'foo' is unexpected"],
    ['{"execute":"__proto__"}', 'The command __proto__ has not been found'],
    ['{"execute":"toString"}', 'The command toString has not been found'],
  ])('answers %j with an error and goes on', async (garbage, desc) => {
    const raw = await negotiated();
    raw.send(`${garbage}\n{"execute":"query-name"}\n`);
    expect(await raw.next()).toMatchObject({ error: { desc: expect.stringContaining(desc) } });
    expect(await raw.next()).toEqual({ return: { name: 'a' } });
    raw.socket.destroy();
  });

  it('answers an endless line with one error and goes on', async () => {
    const raw = await negotiated();
    const piece = 'y'.repeat(64 * 1024);
    raw.send('{"execute":"');
    for (let count = 0; count < 40; count += 1) raw.send(piece);
    raw.send('"}\n{"execute":"query-name"}\n');
    expect(await raw.next()).toMatchObject({ error: { desc: 'JSON token size limit exceeded' } });
    expect(await raw.next()).toEqual({ return: { name: 'a' } });
    raw.socket.destroy();
  });

  it('still answers what came before a client closed its side', async () => {
    const raw = await negotiated();
    raw.socket.end('{"execute":"query-name"}{"execute":"query-name"}');
    expect(await raw.next()).toEqual({ return: { name: 'a' } });
    expect(await raw.next()).toEqual({ return: { name: 'a' } });
    expect(await raw.next()).toBeUndefined();
  });

  it('serves many clients at once, and tells each of an event before the reply', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => negotiated()));
    const [first, ...others] = clients;
    first?.send('{"execute":"stop","id":7}\n');
    const event = {
      event: 'STOP',
      timestamp: { seconds: expect.any(Number), microseconds: expect.any(Number) },
    };
    expect(await first?.next()).toEqual(event);
    expect(await first?.next()).toEqual({ return: {}, id: 7 });
    for (const other of others) expect(await other.next()).toEqual(event);
    first?.send('{"execute":"cont"}\n');
    for (const client of clients) expect(await client.next()).toMatchObject({ event: 'RESUME' });
    for (const client of clients) client.socket.destroy();
  });

  it('sends no event to a client that has not negotiated', async () => {
    const silent = await RawQmp.connect(unix);
    await silent.next();
    const other = await negotiated();
    other.send('{"execute":"stop"}{"execute":"cont"}\n');
    for (let count = 0; count < 4; count += 1) await other.next();
    silent.send('{"execute":"qmp_capabilities"}\n');
    expect(await silent.next()).toEqual({ return: {} });
    silent.socket.destroy();
    other.socket.destroy();
  });

  it('serves others while one client does not read its replies', async () => {
    const greedy = await negotiated();
    greedy.socket.pause();
    for (let count = 0; count < 5000; count += 1) greedy.send('{"execute":"query-commands"}\n');
    const other = await negotiated(tcp);
    other.send('{"execute":"query-name"}\n');
    expect(await other.next()).toEqual({ return: { name: 'a' } });
    greedy.socket.destroy();
    other.socket.destroy();
  });

  it('connect() of the client says what is wrong when nobody listens', async () => {
    await expect(
      QmpClient.connect(`unix:${join(harness.directory, 'none')}`),
    ).rejects.toMatchObject({
      code: 'E_CHANNEL_REFUSED',
      detail: { cause: expect.stringContaining('ENOENT') },
    });
    await expect(QmpClient.connect('file:/x')).rejects.toMatchObject({ code: 'E_CONFIG_INVALID' });
  });

  it('startAgent() refuses QMP addresses that are taken or not on this host', async () => {
    const wanted: [string, string][] = [
      [unix, 'EADDRINUSE'],
      ['tcp:0.0.0.0:0', 'loopback only'],
      ['file:/x', 'QMP needs'],
      ['nonsense', 'Not an address'],
    ];
    for (const [address, reason] of wanted) {
      const failed = harness.start({ name: 'b', role: 'destination', qmp: [address] });
      const error = await failed.catch(
        (thrown: { code: string; message: string; detail: unknown }) => thrown,
      );
      expect(error).toMatchObject({ code: 'E_CONFIG_INVALID' });
      expect(JSON.stringify(error) + String(error)).toContain(reason);
    }
  });
});
