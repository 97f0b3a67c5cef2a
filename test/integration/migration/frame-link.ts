import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { parseTcpAddress, type TcpAddress } from '../../../src/channel/index.ts';
import {
  FRAME_HEADER_BYTES,
  FrameDecoder,
  type FrameHeader,
  type MessageName,
  messageName,
} from '../../../src/protocol/index.ts';

/** A frame that crosses the link. */
export interface CrossingFrame {
  readonly name: MessageName;
  readonly from: 'source' | 'destination';
  /** How many of this name came from that side on this connection, this one included. */
  readonly count: number;
  readonly header: FrameHeader;
  /** Header and body; a copy. */
  readonly bytes: Buffer;
}

/**
 * What becomes of a frame: it passes; it is lost with the connection; it passes and then the
 * connection is lost; it and everything after it in both directions waits for `release()`; or these
 * bytes pass in its place.
 */
export type Verdict = 'pass' | 'cut' | 'pass-and-cut' | 'hold' | Uint8Array;

export type Judge = (frame: CrossingFrame) => Verdict;

/**
 * A link between two real agents that reads the frames which cross it, so that a fault comes
 * exactly at a message and not at a guessed number of bytes. It keeps no limits: the guests are
 * small.
 */
export class FrameLink {
  readonly uri: string;
  /**
   * `source HELLO`, `destination HELLO_ACK`, ...: what came, forwarded or not, over all
   * connections.
   */
  readonly seen: string[] = [];
  private readonly server: Server;
  private readonly target: TcpAddress;
  private readonly judge: Judge;
  private readonly sockets = new Set<Socket>();
  /** What waits while the link is held. */
  private held: (() => void)[] | undefined;

  private constructor(server: Server, target: TcpAddress, judge: Judge) {
    this.server = server;
    this.target = target;
    this.judge = judge;
    // A listening TCP server has an AddressInfo.
    this.uri = `tcp:127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(target: string, judge: Judge): Promise<FrameLink> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const link = new FrameLink(server, parseTcpAddress(target), judge);
    server.on('connection', (socket) => link.accept(socket));
    return link;
  }

  get isHeld(): boolean {
    return this.held !== undefined;
  }

  /** Lets through what was held, and everything after it. */
  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const go of held) go();
  }

  /** From now on nobody gets through any more; connections that exist stay. */
  refuse(): void {
    this.server.close();
  }

  /** After `refuse`: whoever comes gets through again. */
  async admit(): Promise<void> {
    // The scheme of `uri` is this file's.
    this.server.listen(Number(this.uri.split(':').at(-1)), '127.0.0.1');
    await once(this.server, 'listening');
  }

  /** Both sides lose the connection now, and with it what was held. */
  cut(): void {
    this.held = undefined;
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    const closed = this.server.listening ? once(this.server, 'close') : undefined;
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private accept(source: Socket): void {
    const destination = connect({ ...this.target, allowHalfOpen: true });
    for (const socket of [source, destination]) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => this.sockets.delete(socket));
    }
    this.pump('source', source, destination);
    this.pump('destination', destination, source);
  }

  private pump(from: CrossingFrame['from'], input: Socket, output: Socket): void {
    const decoder = new FrameDecoder();
    const counts = new Map<string, number>();
    let over = false;
    input.on('error', () => output.resetAndDestroy());
    input.on('end', () => this.inTurn(() => output.end()));
    input.on('close', () => this.inTurn(() => output.end()));
    input.on('data', (chunk: Buffer) => {
      if (over) return;
      decoder.push(chunk);
      for (let next = decoder.next(); !over; next = decoder.next()) {
        // Agents send nothing malformed; a test that damages frames does it behind this reader.
        if (next.kind !== 'frame') break;
        const name = messageName(next.header.type);
        if (name === undefined) break;
        const count = (counts.get(name) ?? 0) + 1;
        counts.set(name, count);
        this.seen.push(`${from} ${name}`);
        const { body, header } = next;
        // The decoder gives a view of the body; its header lies right before it.
        const bytes = Buffer.alloc(FRAME_HEADER_BYTES + body.length);
        new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length).set(
          new Uint8Array(body.buffer, body.byteOffset - FRAME_HEADER_BYTES, bytes.length),
        );
        const verdict = this.judge({ name, from, count, header, bytes });
        over = this.carryOut(verdict, bytes, input, output);
      }
    });
  }

  /** True when nothing more is to pass. */
  private carryOut(verdict: Verdict, bytes: Buffer, input: Socket, output: Socket): boolean {
    if (verdict === 'cut') {
      input.resetAndDestroy();
      output.resetAndDestroy();
      return true;
    }
    if (verdict === 'pass-and-cut') {
      // A farewell on this side, so that the frame is read for certain; a reset on the other.
      this.inTurn(() => output.end(bytes, () => input.resetAndDestroy()));
      return true;
    }
    if (verdict === 'hold') this.held ??= [];
    this.inTurn(() => {
      if (output.writable) output.write(typeof verdict === 'string' ? bytes : verdict);
    });
    return false;
  }

  private inTurn(action: () => void): void {
    if (this.held === undefined) action();
    else this.held.push(action);
  }
}
