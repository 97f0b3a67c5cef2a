import {
  type Deferred,
  deferred,
  errorFromReport,
  errorReport,
  type SternaError,
  toSternaError,
} from '../../base/index.ts';
import type { Answer } from './migration-messages.ts';

/** Questions to the other thread that wait for their answer. */
export class PendingAnswers {
  private readonly waiting = new Map<number, Deferred<unknown>>();
  private lastId = 0;

  /**
   * `post` sends the question with the id that it gets. Rejects with the error that came as the
   * answer.
   */
  ask(post: (id: number) => void): Promise<unknown> {
    this.lastId += 1;
    const answer = deferred<unknown>();
    this.waiting.set(this.lastId, answer);
    post(this.lastId);
    return answer.promise;
  }

  settle(id: number, answer: Answer): void {
    const question = this.waiting.get(id);
    this.waiting.delete(id);
    if (answer.ok) question?.resolve(answer.value);
    else question?.reject(errorFromReport(answer.error));
  }

  /** The other thread is gone. */
  rejectAll(error: SternaError): void {
    for (const question of this.waiting.values()) question.reject(error);
    this.waiting.clear();
  }
}

/** Makes the answer of what `work` does. Never rejects. */
export async function answerOf(work: () => unknown): Promise<Answer> {
  try {
    return { ok: true, value: await work() };
  } catch (thrown) {
    const error = toSternaError(thrown, 'E_WORKER_DIED', 'The other thread failed');
    return { ok: false, error: plainReport(error) };
  }
}

/** Only what can be posted: a detail may hold anything. */
function plainReport(error: SternaError): ReturnType<typeof errorReport> {
  const report = errorReport(error);
  return { ...report, detail: JSON.parse(JSON.stringify(report.detail)) as typeof report.detail };
}
