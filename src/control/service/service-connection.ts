import type { Socket } from 'node:net';
import { decodeRequest, encodeAnswer, REQUEST_BYTES } from '../../guest/index.ts';
import type { ServiceDesk } from './service-desk.ts';

/**
 * A client of the guest's service. It asks one thing at a time: nothing more is read before the
 * answer was written, so that a connection has one answer in memory at most. Whoever sends
 * something else is disconnected.
 */
export class ServiceConnection {
  private readonly socket: Socket;
  private readonly desk: ServiceDesk;
  private received = Buffer.alloc(0);
  private isAsking = false;

  constructor(socket: Socket, desk: ServiceDesk) {
    this.socket = socket;
    this.desk = desk;
    // A connection that is reset is closed, which is all that there is to know.
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.askNext();
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private askNext(): void {
    if (this.isAsking || this.received.length < REQUEST_BYTES) return;
    const request = decodeRequest(this.received.subarray(0, REQUEST_BYTES));
    this.received = this.received.subarray(REQUEST_BYTES);
    if (request === undefined || request.service !== this.desk.service) return this.close();
    this.isAsking = true;
    this.socket.pause();
    this.desk.ask(request, (answer) => {
      if (this.socket.destroyed) return;
      this.socket.write(encodeAnswer(answer), () => {
        this.isAsking = false;
        if (this.socket.destroyed) return;
        this.socket.resume();
        this.askNext();
      });
    });
  }
}
