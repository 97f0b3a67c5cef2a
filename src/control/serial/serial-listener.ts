import { createServer, type Server, type Socket } from 'node:net';
import { type Deferred, deferred, type Logger, SternaError } from '../../base/index.ts';
import { isLoopback, type SecuritySettings } from '../../channel/index.ts';
import type { SerialSocket } from '../../guest/index.ts';
import { openServer } from '../sockets/open-server.ts';
import { placeOf } from './serial-end.ts';

/** Where clients of the guest's serial line come, one at a time. */
export class SerialListener {
  private readonly server: Server;
  private readonly log: Logger;
  private readonly place: string;
  private readonly came: Deferred<void> = deferred();

  /** `taken`: false when the line has a client already. */
  private constructor(spec: SerialSocket, log: Logger, taken: (client: Socket) => boolean) {
    this.log = log;
    this.place = placeOf(spec);
    this.server = createServer({ noDelay: true }, (client) => {
      if (!taken(client)) return this.refuse(client);
      log.info({ event: 'serial.client', at: this.place });
      this.came.resolve();
    });
  }

  /** Rejects with E_CONFIG_INVALID. */
  static async open(
    spec: SerialSocket,
    { insecure = false }: SecuritySettings,
    log: Logger,
    taken: (client: Socket) => boolean,
  ): Promise<SerialListener> {
    if (spec.kind === 'tcp' && !isLoopback(spec.host) && !insecure) {
      // Whoever reaches it types on the guest's console.
      throw new SternaError('E_CONFIG_INVALID', `A serial line is not encrypted: ${spec.host}`, {
        detail: { expected: 'an address of the loopback, or an agent with --insecure' },
      });
    }
    const listener = new SerialListener(spec, log, taken);
    await openServer(listener.server, spec, 'clients of the serial line');
    // From now on an error is a failed accept: the line goes on.
    listener.server.on('error', (error) => {
      log.warn({ event: 'serial.accept-failed', cause: error.message });
    });
    return listener;
  }

  /** Resolves when the first client has come. */
  async firstClient(): Promise<void> {
    this.log.info({ event: 'serial.waiting', at: this.place });
    await this.came.promise;
  }

  /** No more come; who is there stays. */
  close(): void {
    this.server.close();
  }

  private refuse(client: Socket): void {
    this.log.warn({ event: 'serial.refused', at: this.place, why: 'it has a client' });
    client.on('error', () => {});
    client.destroy();
  }
}
