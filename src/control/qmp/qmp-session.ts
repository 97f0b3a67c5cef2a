import type { Socket } from 'node:net';
import { deferred, type Logger } from '../../base/index.ts';
import { greeting, type QmpDispatcher } from './qmp-dispatcher.ts';
import { type QmpInput, QmpScanner } from './qmp-scanner.ts';

/** A client that lets this much pile up does not read any more. */
const BACKLOG_BYTES_MAX = 16 * 2 ** 20;

/**
 * One connected client. Its commands run one after the other, and no more is read from it while one
 * runs or while it does not read its replies: so a client costs a bounded amount of memory, and no
 * other client waits for it.
 */
export class QmpSession {
  private readonly socket: Socket;
  private readonly dispatcher: QmpDispatcher;
  private readonly log: Logger;
  private readonly scanner = new QmpScanner();
  private readonly queue: QmpInput[] = [];
  private working = false;
  private ending = false;

  constructor(socket: Socket, dispatcher: QmpDispatcher, log: Logger) {
    this.socket = socket;
    this.dispatcher = dispatcher;
    this.log = log;
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    // The close event follows; a client that goes away is not a failure of the agent.
    socket.on('error', (error) => log.debug({ event: 'qmp.client-error', cause: error.message }));
    // The server allows half-open connections: the replies to what came before the end still go
    // out.
    socket.on('end', () => {
      this.ending = true;
      if (!this.working) this.socket.end();
    });
    this.write(greeting());
  }

  sendEvent(event: unknown): void {
    if (!this.dispatcher.wantsEvents) return;
    if (this.socket.writableLength > BACKLOG_BYTES_MAX) {
      this.log.warn({ event: 'qmp.client-dropped', reason: 'it does not read' });
      this.socket.destroy();
      return;
    }
    this.write(event);
  }

  close(): void {
    this.socket.end();
    // Whoever does not close its own side does not hold the agent up.
    this.socket.destroySoon();
  }

  private receive(chunk: Buffer): void {
    this.queue.push(...this.scanner.push(chunk));
    if (!this.working && this.queue.length > 0) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    this.socket.pause();
    for (let input = this.queue.shift(); input !== undefined; input = this.queue.shift()) {
      await this.write(await this.dispatcher.reply(input));
    }
    this.working = false;
    if (this.ending) this.socket.end();
    else this.socket.resume();
  }

  /** Resolves when the client has room for more, or is gone. */
  private write(message: unknown): Promise<void> {
    const room = deferred<void>();
    if (this.socket.destroyed || this.socket.write(`${JSON.stringify(message)}\r\n`)) {
      room.resolve();
    } else {
      const proceed = () => {
        this.socket.off('drain', proceed);
        this.socket.off('close', proceed);
        room.resolve();
      };
      this.socket.on('drain', proceed);
      this.socket.on('close', proceed);
    }
    return room.promise;
  }
}
