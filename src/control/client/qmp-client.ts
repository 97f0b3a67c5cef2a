import { connect, type Socket } from 'node:net';
import {
  type Deferred,
  deferred,
  QMP_LINE_BYTES_MAX,
  SternaError,
  systemClock,
} from '../../base/index.ts';
import { parseAddress } from '../../channel/index.ts';
import { asRecord, qmpErrorFrom } from './qmp-error.ts';

export interface QmpClientOptions {
  /** For connecting, the greeting and the negotiation together. */
  readonly timeoutMs?: number;
}

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly timestampMs: number;
}

const CONNECT_LIMIT_MS = 5_000;
/** A reply to query-migrate with a thousand passes is about 300 KiB. */
const REPLY_BYTES_MAX = 16 * QMP_LINE_BYTES_MAX;

/**
 * A QMP connection to an agent (or to QEMU), negotiated. Commands may overlap; replies find theirs
 * by `id`.
 */
export class QmpClient {
  private readonly address: string;
  private readonly socket: Socket;
  private readonly waiting = new Map<number, Deferred<unknown>>();
  private readonly listeners = new Set<(event: QmpEvent) => void>();
  private readonly greeted = deferred<unknown>();
  private readonly gone = deferred<void>();
  private received = '';
  private lastId = 0;
  private failure: SternaError | undefined;

  private constructor(address: string, socket: Socket) {
    this.address = address;
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.receive(text));
    socket.on('error', (cause) => this.fail('E_CHANNEL_REFUSED', 'Cannot reach', cause));
    socket.on('close', () => this.fail('E_CHANNEL_RESET', 'Lost the connection with', undefined));
  }

  /**
   * `unix:PATH` or `tcp:HOST:PORT`. Rejects with E_CONFIG_INVALID, E_CHANNEL_REFUSED or
   * E_CHANNEL_TIMEOUT.
   */
  static async connect(text: string, options: QmpClientOptions = {}): Promise<QmpClient> {
    const address = parseAddress(text);
    if (address.kind === 'file') {
      throw new SternaError('E_CONFIG_INVALID', `QMP needs unix:PATH or tcp:HOST:PORT: ${text}`);
    }
    const target =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    const client = new QmpClient(text, connect(target));
    const settled = new AbortController();
    const limit = systemClock().sleep(options.timeoutMs ?? CONNECT_LIMIT_MS, settled.signal);
    void limit.then(() => {
      if (settled.signal.aborted) return;
      client.fail('E_CHANNEL_TIMEOUT', 'No greeting from', undefined);
    });
    try {
      await client.greeted.promise;
      await client.execute('qmp_capabilities');
    } finally {
      settled.abort();
    }
    return client;
  }

  /**
   * Resolves with the reply's `return`; rejects with a QmpError, or a SternaError when the
   * connection is lost.
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.lastId += 1;
    const id = this.lastId;
    const answer = deferred<unknown>();
    this.waiting.set(id, answer);
    const message = { execute: command, ...(args === undefined ? {} : { arguments: args }), id };
    this.socket.write(`${JSON.stringify(message)}\r\n`);
    return answer.promise;
  }

  /** Calls back with each event from now on. Returns how to stop that. */
  onEvent(callback: (event: QmpEvent) => void): () => void {
    this.listeners.add(callback);
    return () => this.listeners.delete(callback);
  }

  /** Resolves when the connection is over, from either side. */
  get closed(): Promise<void> {
    return this.gone.promise;
  }

  close(): void {
    this.socket.end();
    this.fail('E_CHANNEL_RESET', 'Closed the connection with', undefined);
  }

  private receive(text: string): void {
    const lines = (this.received + text).split('\n');
    this.received = lines.pop() ?? '';
    if (this.received.length > REPLY_BYTES_MAX) {
      return this.fail('E_PROTOCOL_FRAME_TOO_LONG', 'Endless line from', undefined);
    }
    for (const line of lines) this.readLine(line);
  }

  private readLine(line: string): void {
    if (line.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      return this.fail('E_PROTOCOL_BAD_BODY', 'No JSON came from', cause);
    }
    const message = asRecord(value);
    if ('QMP' in message) this.greeted.resolve(message.QMP);
    else if (typeof message.event === 'string') this.dispatch(message.event, message);
    else this.settle(message);
  }

  private dispatch(event: string, message: Readonly<Record<string, unknown>>): void {
    const { seconds, microseconds } = asRecord(message.timestamp);
    const timestampMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
    const report = { event, data: asRecord(message.data), timestampMs };
    for (const listener of this.listeners) listener(report);
  }

  private settle(message: Readonly<Record<string, unknown>>): void {
    // An error without an id answers something that was not read as a command; every line of ours
    // is one.
    const answer = this.waiting.get(Number(message.id));
    this.waiting.delete(Number(message.id));
    if ('error' in message) answer?.reject(qmpErrorFrom(message.error));
    else answer?.resolve(message.return);
  }

  private fail(code: SternaError['code'], text: string, cause: unknown): void {
    if (this.failure !== undefined) return;
    const reason = cause instanceof Error ? { cause: cause.message } : {};
    this.failure = new SternaError(code, `${text} ${this.address}`, { cause, detail: reason });
    this.greeted.reject(this.failure);
    for (const answer of this.waiting.values()) answer.reject(this.failure);
    this.waiting.clear();
    // Ends it in the cases in which it is still open; what was written before still goes out.
    this.socket.destroySoon();
    this.gone.resolve();
  }
}
