import { Worker } from 'node:worker_threads';
import { deferred, type Logger, SternaError, workerUrl } from '../../base/index.ts';
import { isLoopback, parseTcpAddress, type SecuritySettings } from '../../channel/index.ts';
import type { WorkloadMachine } from '../../guest/index.ts';
import type { ServiceOrder, ServiceReport, ServiceSettings } from './service-messages.ts';

/**
 * The main thread's half of the guest's service: a worker of its own moves the bytes, so that
 * neither a vCPU nor a migration waits for a client, nor a client for them.
 */
export class ServiceHost {
  /** With the real port. */
  readonly address: string;
  private readonly worker: Worker;

  private constructor(worker: Worker, address: string) {
    this.worker = worker;
    this.address = address;
  }

  /** Rejects with E_CONFIG_INVALID when the address cannot be used. */
  static async start(
    text: string,
    settings: Omit<ServiceSettings, 'address'>,
    security: SecuritySettings,
    log: Logger,
  ): Promise<ServiceHost> {
    const address = parseTcpAddress(text);
    if (!isLoopback(address.host) && security.insecure !== true) {
      throw new SternaError('E_CONFIG_INVALID', `Clients of a guest are not encrypted: ${text}`, {
        detail: { expected: 'an address of the loopback, or an agent with --insecure' },
      });
    }
    const worker = new Worker(workerUrl('service', import.meta.url), {
      workerData: { ...settings, address } satisfies ServiceSettings,
    });
    const reported = deferred<string>();
    worker.once('message', (report: ServiceReport) => {
      if (report.type === 'listening') reported.resolve(report.address);
      else {
        const detail = { cause: report.cause };
        reported.reject(new SternaError('E_CONFIG_INVALID', report.message, { detail }));
      }
    });
    worker.on('error', (error) => {
      log.error({ event: 'service-worker.crashed', stack: error.stack });
      const text = 'The service worker died';
      reported.reject(new SternaError('E_WORKER_DIED', text, { cause: error }));
    });
    try {
      return new ServiceHost(worker, await reported.promise);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** The guest that lives here now, if one does. */
  follow(resident: WorkloadMachine | undefined): void {
    const order: ServiceOrder =
      resident === undefined
        ? { type: 'withdraw' }
        : { type: 'serve', mailbox: resident.handles().mailbox };
    this.worker.postMessage(order);
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}
