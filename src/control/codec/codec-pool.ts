import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Deferred, deferred, SternaError, workerUrl } from '../../base/index.ts';
import {
  type CompressRequest,
  type GuestMemory,
  type GuestMemoryHandles,
  LANE_COUNT,
  type RamBlock,
} from '../../guestmem/index.ts';
import type { CodecHelpers, TimedResult } from '../../source/index.ts';

export interface CodecWorkerData {
  readonly handles: GuestMemoryHandles;
  readonly lane: number;
}

export interface CodecWorkerRequest {
  /** Index of the RAM block. */
  readonly block: number;
  readonly request: CompressRequest;
}

export type CodecWorkerReply = TimedResult;

interface Helper {
  readonly worker: Worker;
  isReady: boolean;
  /** In the order in which it answers. */
  readonly answers: Deferred<TimedResult>[];
}

/** Two keep up with 10 Gbit/s of text; the vCPUs need the others. */
const HELPERS_MAX = 2;

/** One core is the sending thread's. */
function helperCount(cores: number): number {
  return Math.max(0, Math.min(HELPERS_MAX, LANE_COUNT - 1, cores - 1));
}

/**
 * Worker threads that compress in the guest's memory. They start when the engine asks for them, not
 * before: most migrations over a fast link never do.
 */
export class CodecPool implements CodecHelpers {
  readonly count: number;
  private readonly memory: GuestMemory;
  private helpers: Helper[] = [];
  private failure: SternaError | undefined;
  private isClosed = false;

  constructor(memory: GuestMemory, count = helperCount(availableParallelism())) {
    this.memory = memory;
    this.count = count;
  }

  get ready(): number {
    return this.helpers.filter(({ isReady }) => isReady).length;
  }

  get underWay(): number {
    return this.helpers.reduce((sum, { answers }) => sum + answers.length, 0);
  }

  prepare(): void {
    if (this.helpers.length > 0 || this.isClosed) return;
    const handles = this.memory.handles();
    // Lane 0 is that of the sending thread.
    for (let lane = 1; lane <= this.count; lane += 1) this.helpers.push(this.start(handles, lane));
  }

  compress(block: RamBlock, request: CompressRequest): Promise<TimedResult> {
    const ready = this.helpers.filter(({ isReady }) => isReady);
    const [helper] = ready.sort((one, other) => one.answers.length - other.answers.length);
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (helper === undefined) return Promise.reject(died('it has not started'));
    const answer = deferred<TimedResult>();
    helper.answers.push(answer);
    const message: CodecWorkerRequest = { block: block.layout.index, request };
    helper.worker.postMessage(message);
    return answer.promise;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const { helpers } = this;
    this.helpers = [];
    await Promise.all(helpers.map(({ worker }) => worker.terminate()));
    for (const { answers } of helpers) fail(answers, died('the migration is over'));
  }

  private start(handles: GuestMemoryHandles, lane: number): Helper {
    const data: CodecWorkerData = { handles, lane };
    const worker = new Worker(workerUrl('codec', import.meta.url), { workerData: data });
    const helper: Helper = { worker, isReady: false, answers: [] };
    worker.on('message', (message: 'ready' | CodecWorkerReply) => {
      if (message === 'ready') helper.isReady = true;
      else helper.answers.shift()?.resolve(message);
    });
    worker.on('error', (error) => this.died(helper, died(error.message)));
    worker.on('exit', () => this.died(helper, died('it ended')));
    worker.unref();
    return helper;
  }

  /** What it had is of no use. Others go on, but the migration that waits for it cannot. */
  private died(helper: Helper, error: SternaError): void {
    if (this.isClosed) return;
    helper.isReady = false;
    this.failure ??= helper.answers.length > 0 ? error : undefined;
    fail(helper.answers, error);
  }
}

function fail(answers: Deferred<TimedResult>[], error: SternaError): void {
  for (const { promise, reject } of answers.splice(0)) {
    promise.catch(() => {});
    reject(error);
  }
}

function died(cause: string): SternaError {
  return new SternaError('E_WORKER_DIED', 'Helper of the codec died', { detail: { cause } });
}
