import { systemClock } from '../../src/base/index.ts';

const BREATH_MS = 4;
const LIMIT_MS = 15_000;

/**
 * Asks again and again until the answer is not undefined. A breath between two questions leaves the
 * processors to the processes that are waited for. Rejects with `what` was waited for.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  limitMs = LIMIT_MS,
): Promise<T> {
  const clock = systemClock();
  const deadlineMs = clock.nowMs() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (clock.nowMs() > deadlineMs) throw new Error(`Not within ${limitMs} ms: ${what}`);
    await clock.sleep(BREATH_MS);
  }
}
