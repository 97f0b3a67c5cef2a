import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Clock, type Deferred, deferred, SternaError } from '../base/index.ts';
import { channelError } from './channel-error.ts';
import type { HeldReads } from './security/held-reads.ts';
import { resetTls } from './security/tls-handle.ts';
import { endWithinLimit, type Transport, type TransportEvents } from './transport.ts';

/**
 * A connected TCP socket that already reads into the events (`onread`, or adopted), and is paused;
 * or a TLS socket, which may be in its handshake still and reads into `held`.
 */
export class TcpTransport implements Transport {
  readonly duplex = true;
  private readonly name: string;
  private readonly socket: Socket;
  private readonly clock: Clock;
  private readonly closed: Deferred<void> = deferred();
  private readonly events: TransportEvents;
  private readonly held: HeldReads | undefined;
  private isGathering = false;

  constructor(
    name: string,
    socket: Socket,
    clock: Clock,
    events: TransportEvents,
    held?: HeldReads,
  ) {
    this.name = name;
    this.socket = socket;
    this.clock = clock;
    this.events = events;
    this.held = held;
    socket.setNoDelay(true);
    socket.on('error', (error) => events.failed(channelError(name, error)));
    socket.on('end', () => {
      if (held === undefined) events.ended();
      else held.ended(() => events.ended());
    });
    socket.on('close', () => {
      // Changes nothing when the cause was reported before, as it should have been.
      events.failed(this.lost());
      this.closed.resolve();
    });
  }

  startReading(): void {
    // In a microtask: nobody is given a frame in the middle of a call of `start`.
    queueMicrotask(() => this.held?.release());
    this.socket.resume();
  }

  write(bytes: Uint8Array, done: (error?: SternaError) => void): void {
    // A Buffer over the same (shared) memory: node:net hands it to the kernel without a copy.
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.gather();
    this.socket.write(view, (error) => {
      if (error) return done(channelError(this.name, error));
      // A write in flight when the socket is destroyed is called back without an error.
      done(this.socket.destroyed ? this.lost() : undefined);
    });
  }

  async end(): Promise<void> {
    // The peer's end cannot be seen by a socket that does not read.
    this.held?.release();
    this.socket.resume();
    this.socket.end();
    await endWithinLimit(this.clock, this.closed.promise, this.events.failed);
  }

  reset(): void {
    // RST instead of FIN, or the peer would take the end for a graceful one. But not behind a FIN
    // that is on its way: libuv refuses that, node:net then never closes the handle, and the thread
    // that has it can never end.
    const { connecting, destroyed, writableEnded } = this.socket;
    if (connecting || destroyed || writableEnded) this.socket.destroy();
    else if (this.socket instanceof TLSSocket) resetTls(this.socket);
    else this.socket.resetAndDestroy();
  }

  /**
   * What is written before the next tick goes out in one system call: the messages of the pause
   * follow each other without a wait, and a call for each would cost the guest 0.2 ms.
   */
  private gather(): void {
    if (this.isGathering) return;
    this.isGathering = true;
    this.socket.cork();
    process.nextTick(() => {
      this.isGathering = false;
      this.socket.uncork();
    });
  }

  private lost(): SternaError {
    return new SternaError('E_CHANNEL_RESET', `Connection with ${this.name} was closed`);
  }
}
