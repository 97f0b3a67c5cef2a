import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ScriptedQmp {
  /** `unix:PATH`. */
  readonly address: string;
  /** Commands that came, without the negotiation. */
  readonly commands: readonly { readonly execute: string; readonly arguments?: unknown }[];
  /** Tells all clients of it. */
  emit(event: string, data: object): void;
  /** Cuts all connections, as when the agent dies. */
  cut(): void;
  close(): void;
}

/** What a command is answered: a value for `return`, or the body of an `error`. */
export type Answer = { readonly return: unknown } | { readonly error: object };

/** An agent that is none: answers each command as the test says. */
export async function scriptedQmp(
  answer: (command: string, count: number) => Answer,
): Promise<ScriptedQmp> {
  const directory = mkdtempSync(join(tmpdir(), 'sterna-qmp-'));
  const path = join(directory, 'q.sock');
  const commands: { execute: string; arguments?: unknown }[] = [];
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const send = (value: unknown) => socket.write(`${JSON.stringify(value)}\r\n`);
    send({
      QMP: { version: { qemu: { major: 10, minor: 2, micro: 2 }, package: '' }, capabilities: [] },
    });
    createInterface({ input: socket }).on('line', (line) => {
      const { id, ...command } = JSON.parse(line);
      if (command.execute === 'qmp_capabilities') return send({ return: {}, id });
      commands.push(command);
      const count = (counts.get(command.execute) ?? 0) + 1;
      counts.set(command.execute, count);
      send({ ...answer(command.execute, count), id });
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `unix:${path}`,
    commands,
    emit(event, data) {
      const timestamp = { seconds: 0, microseconds: 0 };
      const line = `${JSON.stringify({ event, data, timestamp })}\r\n`;
      for (const socket of sockets) socket.write(line);
    },
    cut,
    close() {
      cut();
      server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
