import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ErrorCode, errorCodeFromNumber } from '../../../src/base/index.ts';
import { parseTcpAddress } from '../../../src/channel/index.ts';
import {
  decodeError,
  FrameDecoder,
  MESSAGE_TYPES,
  messageName,
} from '../../../src/protocol/index.ts';

/** Someone who has found a migration port, and sends whatever he likes. */
export class HostileClient {
  readonly socket: Socket;
  /** Names of what came back. */
  readonly heard: string[] = [];
  /** The reason that the destination gave. */
  refusal: ErrorCode | undefined;
  private readonly over: Promise<unknown>;

  private constructor(socket: Socket) {
    this.socket = socket;
    const decoder = new FrameDecoder();
    this.over = new Promise((resolve) => socket.once('close', resolve));
    // A reset after the answer is as good an end as any.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk);
      for (let next = decoder.next(); next.kind === 'frame'; next = decoder.next()) {
        this.heard.push(messageName(next.header.type) ?? 'unknown');
        if (next.header.type !== MESSAGE_TYPES.ERROR) continue;
        const body = decodeError(next.body);
        if (body.kind === 'ok') this.refusal = errorCodeFromNumber(body.body.code);
      }
    });
  }

  static async connect(uri: string): Promise<HostileClient> {
    const { host, port } = parseTcpAddress(uri);
    const socket = connect({ host, port });
    await once(socket, 'connect');
    return new HostileClient(socket);
  }

  send(...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) this.socket.write(piece);
  }

  /** Resolves when the destination has closed the connection; a test's own limit ends the wait. */
  async closed(): Promise<void> {
    await this.over;
  }

  destroy(): void {
    this.socket.destroy();
  }
}
