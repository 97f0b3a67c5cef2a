import { describe, it } from 'vitest';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { cutBeforeGrant, cutInPostcopy, RECOVERY, TAKING_BACK } from './kill-points.ts';

describe('kill -9 while a broken link is dealt with', () => {
  it.each(RECOVERY)(
    '%s leaves exactly one owner in post-copy',
    (point) => kill({ mode: 'postcopy', point, judge: cutInPostcopy() }),
    KILL_LIMIT_MS,
  );

  it.each(TAKING_BACK)(
    '%s leaves exactly one owner before GRANT',
    (point) => kill({ mode: 'precopy', point, judge: cutBeforeGrant() }),
    KILL_LIMIT_MS,
  );
});
