import { expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import { readMigration } from '../../../src/cli/migration/migration-view.ts';
import { createProgress } from '../../../src/cli/progress/progress-view.ts';
import { fakeContext, fakeTerminal } from '../../support/cli-context.ts';
import { activeReply, completedReply } from '../../support/query-migrate-reply.ts';

function update(reply: unknown) {
  return { view: readMigration(reply), reply };
}

test('createProgress() prints one line per second and at each change of status elsewhere than on a terminal', async () => {
  const clock = new SimClock();
  const fake = fakeContext({ clock });
  const progress = createProgress(fake.context, { json: false, verbose: true });
  for (let tick = 0; tick < 25; tick += 1) {
    progress.update(update(activeReply()));
    await clock.advance(100);
  }
  progress.update(update(completedReply()));
  progress.close();
  const lines = fake.stderr().trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(
    /^pass 3, 0 %, 8.00 MiB remaining, dirty 5,000 pages\/s, 119.2 MiB\/s, expected downtime 40.0 ms, ETA 1 s$/,
  );
  expect(fake.stdout()).toBe('');
});

test('createProgress() prints nothing when it was not asked to', () => {
  const fake = fakeContext();
  const progress = createProgress(fake.context, { json: false, verbose: false });
  progress.update(update(activeReply()));
  progress.close();
  expect(fake.stdout() + fake.stderr()).toBe('');
});

test('createProgress() prints JSON objects with the names of QMP for machines', () => {
  const fake = fakeContext();
  const progress = createProgress(fake.context, { json: true, verbose: true });
  progress.update(update(activeReply()));
  progress.close();
  expect(JSON.parse(fake.stdout())).toMatchObject({
    event: 'progress',
    status: 'active',
    pass: 3,
    remaining: 8 * 2 ** 20,
    'dirty-pages-rate': 5_000,
    'expected-downtime': 40,
  });
});

test('createProgress() draws a live view on a terminal and leaves it as it was', async () => {
  const terminal = fakeTerminal();
  const fake = fakeContext({ terminal: terminal.stream });
  const listeners = process.listenerCount('exit');
  const progress = createProgress(fake.context, { json: false, verbose: true });
  progress.update(update(activeReply()));
  // The view redraws by a timer of its own: wait until what was given is there.
  while (!terminal.drawn().includes('pass 3')) await fake.context.clock.sleep(5);
  expect(terminal.drawn()).toContain('dirty 5,000 pages/s');
  expect(terminal.drawn()).toContain('\u001b[?25l');
  expect(terminal.drawn().split('\u001b[?25h')).toHaveLength(1);
  progress.close();
  progress.close();
  expect(terminal.drawn().split('\u001b[?25h')).toHaveLength(2);
  expect(terminal.drawn().endsWith('\u001b[0J')).toBe(true);
  expect(process.listenerCount('exit')).toBe(listeners);
});
