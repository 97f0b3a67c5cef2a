import { describe, it } from 'vitest';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { EVERY_MODE } from './kill-points.ts';

describe('kill -9 in mode stop', () => {
  it.each(EVERY_MODE)(
    '%s leaves exactly one owner, and RAM that the guest can have left',
    (point) => kill({ mode: 'stop', point }),
    KILL_LIMIT_MS,
  );
});
