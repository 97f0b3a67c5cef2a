import { it } from 'vitest';
import { withEveryGuest } from '../test-guest.ts';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { EVERY_MODE, POSTCOPY } from './kill-points.ts';

withEveryGuest('kill -9 in mode postcopy', (guest) => {
  it.each([...EVERY_MODE, ...POSTCOPY] as const)(
    '%s leaves exactly one owner, and if no page is missing RAM that the guest can have left',
    (point) => kill({ guest, mode: 'postcopy', point }),
    KILL_LIMIT_MS,
  );
});
