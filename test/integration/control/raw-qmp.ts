import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseAddress } from '../../../src/channel/index.ts';

/** A QMP client that can misbehave: it sends what it is told, and reads lines. */
export class RawQmp {
  readonly socket: Socket;
  private lines: string[] = [];
  private partial = '';
  private wake: (() => void) | undefined;
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const pieces = (this.partial + text).split('\n');
      this.partial = pieces.pop() ?? '';
      this.lines.push(...pieces);
      this.wake?.();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.wake?.();
    });
  }

  static async connect(text: string): Promise<RawQmp> {
    const address = parseAddress(text);
    const socket =
      address.kind === 'tcp' ? connect(address.port, address.host) : connect(address.path);
    const raw = new RawQmp(socket);
    await once(socket, 'connect');
    return raw;
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** The next line; undefined when the connection has ended. */
  async next(): Promise<Record<string, unknown> | undefined> {
    while (this.lines.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const line = this.lines.shift();
    return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
  }

  /** Past the greeting, negotiated. */
  async negotiate(): Promise<void> {
    await this.next();
    this.send('{"execute":"qmp_capabilities"}\n');
    await this.next();
  }
}
