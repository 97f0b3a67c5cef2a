import { it } from 'vitest';
import { withEveryGuest } from '../test-guest.ts';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { cutBeforeGrant, cutInPostcopy, RECOVERY, TAKING_BACK } from './kill-points.ts';

withEveryGuest('kill -9 while a broken link is dealt with', (guest) => {
  it.each(RECOVERY)(
    '%s leaves exactly one owner in post-copy',
    (point) => kill({ guest, mode: 'postcopy', point, judge: cutInPostcopy() }),
    KILL_LIMIT_MS,
  );

  it.each(TAKING_BACK)(
    '%s leaves exactly one owner before GRANT',
    (point) => kill({ guest, mode: 'precopy', point, judge: cutBeforeGrant() }),
    KILL_LIMIT_MS,
  );
});
