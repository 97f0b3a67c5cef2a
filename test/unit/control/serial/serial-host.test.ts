import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../../../src/base/index.ts';
import { type SerialGuest, SerialHost } from '../../../../src/control/serial/serial-host.ts';
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
    code: 'E_CHANNEL_REFUSED',
  });
});
