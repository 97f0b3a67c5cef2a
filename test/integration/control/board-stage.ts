import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { GuestOptions } from '../../../src/control/index.ts';
import { buildGuest } from '../../support/riscv-compiler.ts';
import { until } from '../../support/until.ts';

/** Prints `ready`, waits for a byte of its serial line, and powers off. */
const PROGRAM = { name: 'idle', variant: 1 };

/** That guest, with so much in its RAM that a migration has to move. */
export function waitingGuest(directory: string, ballast: Uint8Array): GuestOptions {
  const [kernel, initrd] = [join(directory, 'kernel'), join(directory, 'initrd')];
  writeFileSync(kernel, buildGuest(PROGRAM));
  writeFileSync(initrd, ballast);
  return { ramBytes: 32 * 2 ** 20, vcpuCount: 1, seed: 1, kernel, initrd };
}

/** The other end of an agent's serial line. */
export interface Line {
  /** The option. */
  readonly serial: string;
  says(text: string): Promise<void>;
  type(text: string): void;
}

export async function serialLine(directory: string, name: string): Promise<Line> {
  const path = join(directory, `${name}.line`);
  let said = '';
  let peer: Socket | undefined;
  const server = createServer((socket) => {
    peer = socket;
    socket.on('data', (bytes) => {
      said += bytes.toString('latin1');
    });
    socket.on('error', () => {});
  });
  await once(server.listen(path), 'listening');
  onTestFinished(() => {
    peer?.destroy();
    server.close();
  });
  return {
    serial: `unix:${path}`,
    says: async (text) => {
      await until(`${name} says ${text}`, () => said.includes(text) || undefined);
    },
    type: (text) => peer?.write(text),
  };
}
