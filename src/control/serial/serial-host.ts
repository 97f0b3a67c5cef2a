import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Logger } from '../../base/index.ts';
import type { SecuritySettings } from '../../channel/index.ts';
import type { RiscvMachine, SerialSocket, SerialSpec } from '../../guest/index.ts';
import { nowhere, openSerialEnd, type SerialEnd, socketEnd } from './serial-end.ts';
import { SerialListener } from './serial-listener.ts';

/** What it needs of a machine. */
export type SerialGuest = Pick<RiscvMachine, 'serial' | 'wake'>;

/** Of what is typed faster than the guest takes it. */
const INPUT_BYTES_MAX = 2 ** 16;
const CHUNK_BYTES = 4096;
/** Only a net under the notifications. */
const RECHECK_MS = 1000;

/**
 * Moves bytes between the serial line of the guest that lives here and its end on this host. What
 * the guest has printed belongs to this side; it is printed to the last byte after the guest left.
 */
export class SerialHost {
  private readonly log: Logger;
  private end = nowhere();
  private listener: SerialListener | undefined;
  private typed: Uint8Array = new Uint8Array(0);
  private machine: SerialGuest | undefined;
  /** Changes with whom it follows, so that who printed for another one ends. */
  private turn = 0;
  private isClosed = false;

  private constructor(log: Logger) {
    this.log = log;
  }

  /**
   * Where this side listens and is to wait, resolves when the first client has come. Rejects with
   * E_FILE, E_SERIAL_REFUSED or E_CONFIG_INVALID.
   */
  static async open(
    spec: SerialSpec,
    log: Logger,
    security: SecuritySettings = {},
  ): Promise<SerialHost> {
    const host = new SerialHost(log);
    if ('server' in spec) await host.listen(spec, security);
    else host.attach(await openSerialEnd(spec));
    return host;
  }

  /** The guest that lives here now, if one does. */
  follow(resident: SerialGuest | undefined): void {
    if (resident === this.machine) return;
    this.machine = resident;
    this.turn += 1;
    if (resident === undefined) return;
    void this.print(resident, this.turn);
    this.feed();
  }

  close(): void {
    this.isClosed = true;
    this.turn += 1;
    this.machine = undefined;
    this.listener?.close();
    this.end.close();
  }

  private async listen(spec: SerialSocket, security: SecuritySettings): Promise<void> {
    const taken = (client: Socket): boolean => {
      if (!this.end.isNowhere || this.isClosed) return false;
      this.attach(socketEnd(client));
      return true;
    };
    this.listener = await SerialListener.open(spec, security, this.log, taken);
    if (spec.server?.waits) await this.listener.firstClient();
  }

  private attach(end: SerialEnd): void {
    this.end = end;
    end.input?.on('data', (bytes: Buffer) => this.type(bytes));
    end.input?.on('error', (error) => this.lose(end, error));
    end.output.on('error', (error) => this.lose(end, error));
    end.output.on('close', () => this.lose(end, 'closed'));
  }

  /** Until another guest is followed, and then to the last byte. */
  private async print(guest: SerialGuest, turn: number): Promise<void> {
    for (;;) {
      const { bytes, producerWaits } = guest.serial.output.pull(CHUNK_BYTES);
      if (producerWaits) guest.wake();
      const { output } = this.end;
      if (bytes.length > 0) {
        if (!output.write(bytes)) await drained(output);
        continue;
      }
      if (turn !== this.turn) return;
      await guest.serial.output.whenReadable(RECHECK_MS);
    }
  }

  private type(bytes: Uint8Array): void {
    const all = Buffer.concat([this.typed, bytes]);
    // Like a line without flow control: what comes too fast is lost.
    this.typed = all.subarray(0, INPUT_BYTES_MAX);
    this.feed();
  }

  private feed(): void {
    const { machine } = this;
    if (machine === undefined || this.typed.length === 0) return;
    const count = machine.serial.input.push(this.typed);
    this.typed = this.typed.subarray(count);
    machine.wake();
    if (this.typed.length === 0) return;
    const room = machine.serial.input.whenWritable(RECHECK_MS);
    void Promise.resolve(room).then(() => this.feed());
  }

  /**
   * Nobody is at the other end any more, until another client comes. The guest's transmitter must
   * not wait for that.
   */
  private lose(end: SerialEnd, reason: unknown): void {
    if (this.isClosed || end !== this.end) return;
    this.log.warn({ event: 'serial.lost', reason: String(reason) });
    end.close();
    this.end = nowhere();
  }
}

/** Resolves too when it is closed instead, or fails: whoever listens for that is told. */
async function drained(output: Writable): Promise<void> {
  const giveUp = new AbortController();
  const { signal } = giveUp;
  await Promise.race([once(output, 'drain', { signal }), once(output, 'close', { signal })]).catch(
    () => {},
  );
  giveUp.abort();
}
