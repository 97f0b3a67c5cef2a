import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../../src/base/index.ts';
import { type SerialGuest, SerialHost } from '../../../../src/control/serial/serial-host.ts';
import type { SerialSpec } from '../../../../src/guest/index.ts';
import { SerialRing } from '../../../../src/guest/riscv/board/serial/serial-ring.ts';
import { until } from '../../../support/until.ts';

let directory: string;
let server: Server;
let host: SerialHost | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sterna-serial-'));
  server = createServer();
});

afterEach(() => {
  host?.close();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

function guest(): SerialGuest & { readonly woken: () => number } {
  let woken = 0;
  const serial = { input: SerialRing.allocate(64), output: SerialRing.allocate(64) };
  return {
    serial,
    wake: () => {
      woken += 1;
    },
    woken: () => woken,
  };
}

/** The host's end and the other one of the line. */
async function line(): Promise<{ readonly peer: Socket; readonly text: () => string }> {
  const path = join(directory, 'line');
  server.listen(path);
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  host = await SerialHost.open({ kind: 'unix', path }, silentLogger());
  const [peer] = (await accepted) as [Socket];
  let text = '';
  peer.on('data', (bytes) => {
    text += bytes.toString();
  });
  return { peer, text: () => text };
}

const print = (ring: SerialRing, text: string) => ring.push(Buffer.from(text));

test('what the guest prints goes out, what is typed comes in and wakes it', async () => {
  const { peer, text } = await line();
  const { serial, wake, woken } = guest();
  host?.follow({ serial, wake });
  print(serial.output, 'hello');
  await until('hello', () => text() === 'hello' || undefined);
  peer.write('x'.repeat(200));
  let typed = '';
  await until('all that was typed', () => {
    typed += Buffer.from(serial.input.pull(64).bytes).toString();
    return typed.length === 200 || undefined;
  });
  expect(woken()).toBeGreaterThan(0);
});

test('what was printed before the guest left is printed to the last byte', async () => {
  const { text } = await line();
  const { serial, wake } = guest();
  print(serial.output, 'before');
  host?.follow({ serial, wake });
  print(serial.output, ' and after');
  host?.follow(undefined);
  await until('all that was printed', () => text() === 'before and after' || undefined);
});

test('a guest does not wait for a line that was lost', async () => {
  const { peer } = await line();
  const { serial, wake } = guest();
  host?.follow({ serial, wake });
  peer.destroy();
  let printed = 0;
  // Many times what the ring holds.
  await until('a line that is never busy', () => {
    printed += print(serial.output, 'x'.repeat(64));
    return printed > 10_000 || undefined;
  });
});

test('a line that ends where nobody listens is refused', async () => {
  const path = join(directory, 'nobody');
  await expect(SerialHost.open({ kind: 'unix', path }, silentLogger())).rejects.toMatchObject({
    code: 'E_SERIAL_REFUSED',
    message: `Nobody listens for the serial line at ${path}`,
    nextStep: expect.stringContaining('server=on'),
  });
});

describe('a line that listens', () => {
  let path: string;
  const clients: Client[] = [];

  beforeEach(() => {
    path = join(directory, 'line');
  });

  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.destroy();
  });

  interface Client {
    readonly socket: Socket;
    readonly closed: Promise<unknown>;
    text(): string;
  }

  /** Resolves when it is connected, which is before the line has taken it. */
  async function client(): Promise<Client> {
    const socket = connect(path);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString();
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await once(socket, 'connect');
    const made = { socket, closed, text: () => text };
    clients.push(made);
    return made;
  }

  test('holds the start of the guest until its first client comes', async () => {
    const order: string[] = [];
    const opened = SerialHost.open({ kind: 'unix', path, server: { waits: true } }, silentLogger());
    void opened.then(() => order.push('opened'));
    await until('a socket', () => existsSync(path) || undefined);
    order.push('a client');
    const { text } = await client();
    host = await opened;
    expect(order).toEqual(['a client', 'opened']);
    const { serial, wake } = guest();
    host.follow({ serial, wake });
    print(serial.output, 'the first word');
    await until('the first word', () => text() === 'the first word' || undefined);
  });

  test('takes one client after the other, and prints for nobody meanwhile', async () => {
    host = await SerialHost.open({ kind: 'unix', path, server: { waits: false } }, silentLogger());
    expect(statSync(path).mode & 0o077).toBe(0);
    const { serial, wake } = guest();
    host.follow({ serial, wake });
    print(serial.output, 'for nobody');
    await until('an empty line', () => serial.output.length === 0 || undefined);
    const first = await client();
    first.socket.write('1');
    await until('what was typed', () => serial.input.pull(1).bytes.length === 1 || undefined);
    // It has one: the other is turned away, and disturbs nothing.
    await (await client()).closed;
    print(serial.output, 'to the first');
    await until('its text', () => first.text() === 'to the first' || undefined);
    first.socket.destroy();
    let second = await client();
    await until('a place for the second', async () => {
      second.socket.write('2');
      if (serial.input.pull(1).bytes.length === 1) return true;
      // The line has not heard yet that the first is gone.
      if (second.socket.destroyed) second = await client();
      return undefined;
    });
    print(serial.output, 'to the second');
    await until('its text', () => second.text() === 'to the second' || undefined);
    host.close();
    await second.closed;
    expect(existsSync(path)).toBe(false);
  });

  test('is refused where other hosts could type, and where something is', async () => {
    const server = { waits: false };
    const open = (spec: SerialSpec) => SerialHost.open(spec, silentLogger());
    await expect(open({ kind: 'tcp', host: '0.0.0.0', port: 4444, server })).rejects.toMatchObject({
      code: 'E_CONFIG_INVALID',
      detail: { expected: expect.stringContaining('--insecure') },
    });
    writeFileSync(path, '');
    await expect(open({ kind: 'unix', path, server })).rejects.toMatchObject({
      code: 'E_CONFIG_INVALID',
      message: `Cannot listen for clients of the serial line on unix:${path}`,
    });
  });
});
