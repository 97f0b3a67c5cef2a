import { describe, it } from 'vitest';
import { KILL_LIMIT_MS, kill } from './kill-case.ts';
import { EVERY_MODE, POSTCOPY } from './kill-points.ts';

describe('kill -9 in mode hybrid', () => {
  it.each([...EVERY_MODE, ...POSTCOPY, 'source.first-pass-sent'] as const)(
    '%s leaves exactly one owner, and if no page is missing RAM that the guest can have left',
    (point) => kill({ mode: 'hybrid', point }),
    KILL_LIMIT_MS,
  );
});
