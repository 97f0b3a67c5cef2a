import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Readable, Writable } from 'node:stream';
import { toSternaError } from '../../base/index.ts';
import type { SerialSocket, SerialSpec } from '../../guest/index.ts';

/** What the guest's serial line is connected with on this side. */
export interface SerialEnd {
  /** What is typed there; undefined: nothing ever. */
  readonly input: Readable | undefined;
  readonly output: Writable;
  /** What is printed is thrown away. */
  readonly isNowhere: boolean;
  close(): void;
}

/** Of a socket the client's. Rejects with E_FILE or E_SERIAL_REFUSED. */
export async function openSerialEnd(spec: SerialSpec): Promise<SerialEnd> {
  switch (spec.kind) {
    case 'null':
      return nowhere();
    case 'stdio':
      return terminalEnd();
    case 'file':
      return fileEnd(spec.path);
    default:
      return connectedEnd(spec);
  }
}

/** A guest whose output nobody takes would wait for that. */
export function nowhere(): SerialEnd {
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  return { input: undefined, output, isNowhere: true, close: () => output.end() };
}

/** A terminal passes on every key: Ctrl-C is the guest's. */
function terminalEnd(): SerialEnd {
  const { stdin, stdout } = process;
  const isTerminal = stdin.isTTY === true;
  if (isTerminal) stdin.setRawMode(true);
  return {
    input: stdin,
    output: stdout,
    isNowhere: false,
    close: () => {
      if (isTerminal) stdin.setRawMode(false);
      stdin.pause();
    },
  };
}

async function fileEnd(path: string): Promise<SerialEnd> {
  const output = createWriteStream(path);
  await once(output, 'open').catch((error: unknown) => {
    throw toSternaError(error, 'E_FILE', `Serial output cannot be written to ${path}`);
  });
  return { input: undefined, output, isNowhere: false, close: () => output.end() };
}

async function connectedEnd(spec: SerialSocket): Promise<SerialEnd> {
  const socket =
    spec.kind === 'tcp'
      ? connect({ host: spec.host, port: spec.port, noDelay: true })
      : connect(spec.path);
  await once(socket, 'connect').catch((error: unknown) => {
    const message = `Nobody listens for the serial line at ${placeOf(spec)}`;
    throw toSternaError(error, 'E_SERIAL_REFUSED', message);
  });
  return socketEnd(socket);
}

/** Whoever made the connection. */
export function socketEnd(socket: Socket): SerialEnd {
  return { input: socket, output: socket, isNowhere: false, close: () => socket.end() };
}

/** For errors and the log. */
export function placeOf(spec: SerialSocket): string {
  return spec.kind === 'tcp' ? `${spec.host}:${spec.port}` : spec.path;
}
