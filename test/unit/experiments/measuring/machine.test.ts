import { describe, expect, it } from 'vitest';
import { unfitToRecord } from '../../../../src/experiments/measuring/index.ts';
import { MACHINE } from '../evaluation/evaluation-fixtures.ts';

describe('unfitToRecord()', () => {
  it('lets a quiet machine with a clean tree record', () => {
    expect(unfitToRecord({ ...MACHINE, load: 1 })).toBeUndefined();
  });

  it('refuses a tree with changes, and a machine that does something else', () => {
    expect(unfitToRecord({ ...MACHINE, dirty: true })).toContain('commit them first');
    expect(unfitToRecord({ ...MACHINE, load: 1.1 })).toContain('load 1.1, at most 1');
  });
});
