import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/index.ts';
import type { PolicyAnswer, PolicyQuestion, PolicyWorkerData } from './policy-messages.ts';
import { policyOf } from './policy-of-module.ts';

/** The thread of a user's policy: loads it, asks it, and tells what came of that. */
const port = parentPort;
assert(port !== null, 'A policy runs as a worker');
// UserPolicy is the only one who starts it.
const { path } = workerData as PolicyWorkerData;
const policy = import(pathToFileURL(path).href).then(policyOf);
// Told when it is asked for the first time.
policy.catch(() => {});

port.on('message', async (question: PolicyQuestion) => {
  const { id } = question;
  try {
    const { begin, decide } = await policy;
    const value =
      question.type === 'begin' ? await begin?.(question.start) : await decide(question.round);
    // A value that cannot be posted is nonsense, and throws here.
    port.postMessage({ id, ok: true, value } satisfies PolicyAnswer);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    port.postMessage({ id, ok: false, message } satisfies PolicyAnswer);
  }
});
