import { Worker } from 'node:worker_threads';
import { type Deferred, deferred, workerUrl } from '../../base/index.ts';
import type { PolicyModule, PolicyRound, PolicyStart } from '../../source/index.ts';
import type { PolicyAnswer, PolicyQuestion, PolicyWorkerData } from './policy-messages.ts';

/** Plenty for a function over a few thousand numbers; a leak ends its thread, and nothing else. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 };

/**
 * A user's policy in a thread of its own, so that neither a loop nor a crash of it holds up a
 * migration. The file is read anew for each.
 */
export class UserPolicy implements PolicyModule {
  private readonly worker: Worker;
  private readonly questions = new Map<number, Deferred<unknown>>();
  private failure: Error | undefined;
  private lastId = 0;

  /** Returns at once; what is wrong with the file is told by the first answer. */
  constructor(path: string) {
    const data: PolicyWorkerData = { path };
    this.worker = new Worker(workerUrl('policy', import.meta.url), {
      workerData: data,
      name: 'policy',
      resourceLimits: HEAP_LIMITS,
      // Options of the process (a test runner's, a debugger's) are not the policy's.
      execArgv: [],
    });
    this.worker.unref();
    this.worker.on('message', (answer: PolicyAnswer) => this.settle(answer));
    this.worker.on('error', (cause) => this.fail(cause));
    this.worker.on('exit', () => this.fail(new Error('Its thread ended')));
  }

  begin(start: PolicyStart): Promise<unknown> {
    return this.ask((id) => ({ id, type: 'begin', start }));
  }

  decide(round: PolicyRound): Promise<unknown> {
    return this.ask((id) => ({ id, type: 'decide', round }));
  }

  close(): void {
    // Ends a loop as well.
    void this.worker.terminate();
  }

  private ask(question: (id: number) => PolicyQuestion): Promise<unknown> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.lastId += 1;
    const answer = deferred<unknown>();
    // Nobody may be waiting any more when the thread ends.
    answer.promise.catch(() => {});
    this.questions.set(this.lastId, answer);
    this.worker.postMessage(question(this.lastId));
    return answer.promise;
  }

  private settle(answer: PolicyAnswer): void {
    const question = this.questions.get(answer.id);
    this.questions.delete(answer.id);
    if (answer.ok) question?.resolve(answer.value);
    else question?.reject(new Error(answer.message));
  }

  private fail(cause: unknown): void {
    this.failure ??= cause instanceof Error ? cause : new Error(String(cause));
    for (const question of this.questions.values()) question.reject(this.failure);
    this.questions.clear();
  }
}
