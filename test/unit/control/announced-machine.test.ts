import { expect, test } from 'vitest';
import { SimClock } from '../../../src/base/index.ts';
import { AnnouncedMachine } from '../../../src/control/migration/announced-machine.ts';
import { SimMachine } from '../../../src/guest/index.ts';

function announced() {
  const machine = SimMachine.create({ clock: new SimClock(), blockPages: [4] });
  const heard: string[] = [];
  const news = new AnnouncedMachine(machine, {
    paused: () => heard.push(`paused, for ${machine.pauseReasons()}`),
    resumed: (reason) => heard.push(`resumed from ${reason}, for ${machine.pauseReasons()}`),
  });
  return { machine, heard, news };
}

/** Until what was put off has been done. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a pause is told after what waits for it has gone on', async () => {
  const { heard, news } = announced();
  await news.pause('migration');
  expect(heard).toEqual([]);
  await turn();
  expect(heard).toEqual(['paused, for migration']);
});

test('that it goes on is told before anything else can be, and after the guest went on', async () => {
  const { heard, news } = announced();
  await news.pause('ownership');
  await turn();
  news.resume('ownership');
  expect(heard).toEqual(['paused, for ownership', 'resumed from ownership, for ']);
});

test('a pause is told before its end, and once', async () => {
  const { heard, news } = announced();
  await news.pause('migration');
  news.resume('migration');
  expect(heard).toEqual(['paused, for ', 'resumed from migration, for ']);
  await turn();
  expect(heard).toHaveLength(2);
});

test('nothing is told of a checkpoint', async () => {
  const { heard, news } = announced();
  await news.pause('checkpoint');
  news.resume('checkpoint');
  await turn();
  expect(heard).toEqual([]);
});
