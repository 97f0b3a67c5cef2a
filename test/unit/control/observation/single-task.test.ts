import { expect, test } from 'vitest';
import { deferred } from '../../../../src/base/index.ts';
import { SingleTask } from '../../../../src/control/observation/single-task.ts';

test('a second one is refused, until the first is over, well or not', async () => {
  const task = new SingleTask('There is one already');
  const first = deferred<string>();
  const running = task.run(() => first.promise);
  await expect(task.run(async () => 'second')).rejects.toMatchObject({
    code: 'E_STATE',
    message: 'There is one already',
  });
  first.reject(new Error('broken'));
  await expect(running).rejects.toThrow('broken');
  expect(await task.run(async () => 'third')).toBe('third');
});

test('end() raises its signal, and resolves when it is over', async () => {
  const task = new SingleTask('There is one already');
  const closing = deferred<void>();
  const running = task.run(async (signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await closing.promise;
    return 'ended';
  });
  let isOver = false;
  const ended = task.end().then(() => {
    isOver = true;
  });
  await Promise.resolve();
  expect(isOver).toBe(false);
  closing.resolve();
  await ended;
  expect(await running).toBe('ended');
  // Nothing is under way.
  await task.end();
});
