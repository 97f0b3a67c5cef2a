import { Worker } from 'node:worker_threads';
import { SternaError } from '../base/index.ts';
import type { VcpuControl } from '../guestmem/index.ts';

/**
 * A vCPU needs a wasm instance for each block and little else; many of them must not look like many
 * processes.
 */
const VCPU_HEAP_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

/** The threads of a machine's vCPUs, in the thread that owns them. */
export class VcpuWorkers {
  private readonly control: VcpuControl;
  private readonly workers: Worker[] = [];
  private readonly deathListeners: ((error: SternaError) => void)[] = [];
  private death: SternaError | undefined;
  private isEnding = false;

  constructor(control: VcpuControl) {
    this.control = control;
  }

  /**
   * One vCPU; `url` is its worker's file, `workerData` what that expects; `onMessage` hears what it
   * tells.
   */
  start(
    vcpu: number,
    url: URL,
    workerData: unknown,
    onMessage: (message: unknown) => void = () => {},
  ): void {
    const worker = new Worker(url, {
      workerData,
      name: `vcpu-${vcpu}`,
      resourceLimits: VCPU_HEAP_LIMITS,
      // Options of the process (a test runner's, a debugger's) are not the guest's.
      execArgv: [],
    });
    worker.on('message', onMessage);
    worker.once('error', (cause) => this.noteDeath(vcpu, cause));
    worker.once('exit', () => this.noteDeath(vcpu, undefined));
    this.workers.push(worker);
  }

  /** Why the first vCPU ended that ended by itself. */
  get firstDeath(): SternaError | undefined {
    return this.death;
  }

  /**
   * Tells of a vCPU that ended by itself; the guest cannot go on. At once if that has happened
   * already.
   */
  onDeath(listener: (error: SternaError) => void): void {
    this.deathListeners.push(listener);
    if (this.death !== undefined) listener(this.death);
  }

  async end(): Promise<void> {
    this.isEnding = true;
    this.control.quit();
    await Promise.all(this.workers.splice(0).map((worker) => worker.terminate()));
  }

  private noteDeath(vcpu: number, cause: unknown): void {
    if (this.isEnding) return;
    this.control.markDead(vcpu);
    if (this.death !== undefined) return;
    const reason = cause instanceof Error ? cause.message : 'its worker ended';
    this.death = new SternaError('E_WORKER_DIED', `vCPU ${vcpu} has ended`, {
      cause,
      detail: { vcpu, reason },
    });
    for (const listener of this.deathListeners) listener(this.death);
  }
}
