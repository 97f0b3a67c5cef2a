import { describe, it } from 'vitest';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { EVERY_MODE } from './kill-points.ts';

describe('kill -9 in mode precopy', () => {
  it.each([...EVERY_MODE, 'source.first-pass-sent'] as const)(
    '%s leaves exactly one owner, and RAM that the guest can have left',
    (point) => kill({ mode: 'precopy', point }),
    KILL_LIMIT_MS,
  );
});
