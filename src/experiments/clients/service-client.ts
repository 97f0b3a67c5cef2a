import { connect, type Socket } from 'node:net';
import { type Clock, deferred } from '../../base/index.ts';
import { parseTcpAddress, type TcpAddress } from '../../channel/index.ts';
import {
  ANSWER_HEADER_BYTES,
  decodeAnswerHeader,
  encodeRequest,
  type ServiceAnswer,
  type ServiceRequest,
} from '../../guest/index.ts';

/** Between two addresses that both have no guest. */
const RETRY_MS = 2;

/**
 * A client of a guest's service that knows all addresses at which the guest may be. It asks one
 * thing at a time. A connection that ends without the answer is made anew at the next address, and
 * the question is asked again there.
 */
export class ServiceClient {
  /** Connections that were made. */
  connections = 0;
  private readonly addresses: readonly TcpAddress[];
  private readonly clock: Clock;
  private current = 0;
  private socket: Socket | undefined;

  /** `addresses`: `tcp:HOST:PORT` each. */
  constructor(addresses: readonly string[], clock: Clock) {
    this.addresses = addresses.map(parseTcpAddress);
    this.clock = clock;
  }

  /** As far as this side knows. */
  get isConnected(): boolean {
    return this.socket?.destroyed === false;
  }

  /** Undefined when `signal` ended it before there was an answer. */
  async ask(request: ServiceRequest, signal: AbortSignal): Promise<ServiceAnswer | undefined> {
    while (!signal.aborted) {
      const answer = await this.askOnce(request, signal);
      if (answer !== undefined) return answer;
      this.close();
      this.current = (this.current + 1) % this.addresses.length;
      await this.clock.sleep(RETRY_MS, signal);
    }
    return undefined;
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }

  private askOnce(
    request: ServiceRequest,
    signal: AbortSignal,
  ): Promise<ServiceAnswer | undefined> {
    // One that was closed while nobody asked: its `close` has been and gone.
    if (!this.isConnected) this.socket = undefined;
    this.socket ??= this.dial();
    const { socket } = this;
    const answered = deferred<ServiceAnswer | undefined>();
    const pieces: Buffer[] = [];
    const end = () => answered.resolve(undefined);
    const read = (bytes: Buffer) => {
      pieces.push(bytes);
      const answer = answerOf(pieces);
      if (answer !== 'incomplete') answered.resolve(answer);
    };
    socket.on('data', read);
    socket.once('close', end);
    signal.addEventListener('abort', end, { once: true });
    socket.write(encodeRequest(request));
    return answered.promise.finally(() => {
      socket.off('data', read);
      socket.off('close', end);
      signal.removeEventListener('abort', end);
    });
  }

  private dial(): Socket {
    const { host = '', port = 0 } = this.addresses[this.current] ?? {};
    const socket = connect({ host, port, noDelay: true });
    socket.once('connect', () => {
      this.connections += 1;
    });
    // It is followed by `close`.
    socket.on('error', () => {});
    return socket;
  }
}

/** Undefined for what no service says. Joins the pieces once all of them are there. */
function answerOf(pieces: readonly Buffer[]): ServiceAnswer | undefined | 'incomplete' {
  const total = pieces.reduce((bytes, piece) => bytes + piece.length, 0);
  if (total < ANSWER_HEADER_BYTES) return 'incomplete';
  const [first = Buffer.alloc(0)] = pieces;
  const head = first.length < ANSWER_HEADER_BYTES ? Buffer.concat(pieces) : first;
  const header = decodeAnswerHeader(head);
  if (header === undefined) return undefined;
  if (total < ANSWER_HEADER_BYTES + header.length) return 'incomplete';
  const { length: _, ...rest } = header;
  return { ...rest, body: Buffer.concat(pieces).subarray(ANSWER_HEADER_BYTES) };
}
