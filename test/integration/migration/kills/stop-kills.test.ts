import { it } from 'vitest';
import { withEveryGuest } from '../test-guest.ts';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { EVERY_MODE } from './kill-points.ts';

withEveryGuest('kill -9 in mode stop', (guest) => {
  it.each(EVERY_MODE)(
    '%s leaves exactly one owner, and RAM that the guest can have left',
    (point) => kill({ guest, mode: 'stop', point }),
    KILL_LIMIT_MS,
  );
});
