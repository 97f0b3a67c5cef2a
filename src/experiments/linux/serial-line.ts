import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, SternaError, systemClock } from '../../base/index.ts';

const TEXT_MAX = 2 ** 20;
const LOOK_MS = 20;

/** The end of an agent's `--serial unix:PATH`: what its guest prints, and a place to type. */
export class SerialLine {
  readonly path: string;
  private readonly server: Server;
  private readonly onBytes: (bytes: Buffer) => void;
  private socket: Socket | undefined;
  private printed = '';

  private constructor(path: string, onBytes: (bytes: Buffer) => void) {
    this.path = path;
    this.onBytes = onBytes;
    this.server = createServer((socket) => this.accept(socket));
  }

  static async listen(
    path: string,
    onBytes: (bytes: Buffer) => void = () => {},
  ): Promise<SerialLine> {
    const line = new SerialLine(path, onBytes);
    await new Promise<void>((resolve, reject) => {
      line.server.once('error', reject);
      line.server.listen(path, resolve);
    });
    return line;
  }

  /** All that was printed here lately. */
  get text(): string {
    return this.printed;
  }

  type(text: string): void {
    this.socket?.write(text);
  }

  /** Resolves when the text has been printed. Rejects with E_CHANNEL_TIMEOUT. */
  async until(expected: RegExp, limitMs: number, clock: Clock = systemClock()): Promise<void> {
    const deadlineMs = clock.nowMs() + limitMs;
    while (!expected.test(this.printed)) {
      if (clock.nowMs() > deadlineMs) {
        const message = `The guest has not printed ${String(expected)}`;
        const detail = { limitMs, last: this.printed.slice(-500) };
        throw new SternaError('E_CHANNEL_TIMEOUT', message, { detail });
      }
      await clock.sleep(LOOK_MS);
    }
  }

  close(): void {
    this.socket?.destroy();
    this.server.close();
  }

  private accept(socket: Socket): void {
    this.socket = socket;
    // An agent that ends takes its line with it.
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      this.printed = (this.printed + bytes.toString('latin1')).slice(-TEXT_MAX);
      this.onBytes(bytes);
    });
  }
}
