import { describe, expect, test } from 'vitest';
import {
  OWNERSHIP_RULES,
  type OwnershipEffect,
  type OwnershipPhase,
  type OwnershipRule,
  type OwnershipRules,
  type OwnershipTrigger,
} from '../../../src/base/index.ts';
import { type Exploration, explore } from '../../support/ownership-explorer.ts';
import type { ModelSide, OwnershipWorld } from '../../support/ownership-world.ts';

/**
 * Both sides, their disks, their connections and what is under way on them, in every order in which
 * they can go, with so many faults at any point. A world is a state of all that.
 */
type Budget = OwnershipWorld['budget'];

const QUIET: Budget = {
  migration: 1,
  crash: 0,
  reset: 0,
  refusal: 0,
  gone: 0,
  error: 0,
  stranger: 0,
};

/** Each of them is explored to its end. */
const BUDGETS: readonly Partial<Budget>[] = [
  { reset: 4, stranger: 2 },
  { migration: 3, reset: 2 },
  { migration: 2, crash: 1, reset: 1 },
  { migration: 2, reset: 1, refusal: 1 },
  { crash: 2, reset: 1, refusal: 1 },
  { crash: 1, reset: 1, refusal: 2 },
];

describe('OWNERSHIP_RULES', () => {
  test.each(BUDGETS)('run the guest on one side, and never on none for ever: %o', (faults) => {
    const found = explore({ ...QUIET, ...faults }, OWNERSHIP_RULES);
    print(faults, found);
    expect(found.violation).toBeUndefined();
    const stuck = found.stuck(['step'], ({ sides }) => !sides.some(isMemoryLost));
    expect(stuck[0]).toBeUndefined();
    // Where the RAM died with its process an operator can always decide.
    expect(found.stuck(['step', 'operator'], () => true)[0]).toBeUndefined();
  });

  test.each<Partial<Budget>>([
    { gone: 1, reset: 1, crash: 1 },
    { gone: 1, reset: 1, refusal: 1, migration: 2 },
  ])('let an operator decide when one side is gone: %o', (faults) => {
    const found = explore({ ...QUIET, ...faults }, OWNERSHIP_RULES);
    print(faults, found);
    expect(found.violation).toBeUndefined();
    const stuck = found.stuck(['step', 'operator'], ({ sides }) => sides.some(isWithRecord));
    expect(stuck[0]).toBeUndefined();
  });

  test('end with one owner when an operator was wrong, once both sides can talk', () => {
    const found = explore({ ...QUIET, reset: 2, error: 1 }, OWNERSHIP_RULES, () => undefined);
    print({ error: 1 }, found);
    expect(found.stuck(['step'], () => true)[0]).toBeUndefined();
  });
});

/** How far the exploration went, for whoever runs it. */
function print(faults: Partial<Budget>, { worldCount, depth }: Exploration): void {
  console.info(`${JSON.stringify(faults)}: ${worldCount} worlds, ${depth} moves deep`);
}

type Changed = readonly [OwnershipPhase, OwnershipTrigger, OwnershipRule];

/** The table with one rule broken. */
function broken(...[phase, trigger, rule]: Changed): OwnershipRules {
  return { ...OWNERSHIP_RULES, [phase]: { ...OWNERSHIP_RULES[phase], [trigger]: rule } };
}

function go(
  to: OwnershipPhase,
  effects: readonly OwnershipEffect[],
  epoch?: 1 | -1,
): OwnershipRule {
  return { to, effects, ...(epoch === undefined ? {} : { epoch }) };
}

const { owner, preparing, interrupted } = OWNERSHIP_RULES;

describe('explore() finds what is wrong with a table in which', () => {
  test.each<[string, ...Changed]>([
    ['GRANT goes out first', 'owner', 'give', go('in-doubt', ['pause', 'send GRANT'], 1)],
    [
      'nothing pauses it',
      'owner',
      'give',
      { ...owner.give, effects: ['record granting'] } as OwnershipRule,
    ],
    ['granting need not be on disk', 'giving', 'refused', go('granting', [])],
    [
      'it runs before the record',
      'preparing',
      'grant',
      { ...preparing.grant, effects: ['run', 'record owner'] } as OwnershipRule,
    ],
    ['a refused record is run', 'owning', 'refused', go('owner', ['run', 'send RESUMED'])],
    [
      'a refused record is denied at once',
      'owning',
      'refused',
      go('abandoned', ['answer abandoned']),
    ],
    [
      'a refused record is denied unrecorded',
      'giving-up',
      'refused',
      go('abandoned', ['answer abandoned']),
    ],
    ['a question is answered first', 'preparing', 'asked', go('preparing', ['answer abandoned'])],
    ['a late GRANT is taken', 'abandoned', 'grant', go('owning', ['record owner'])],
    ['silence is taken for no', 'in-doubt', 'failed', go('taking-back', ['record owner'], -1)],
    [
      'not to know is taken for no',
      'in-doubt',
      'peer-none',
      go('taking-back', ['record owner'], -1),
    ],
    [
      'lost is taken for abandoned',
      'in-doubt',
      'peer-lost',
      go('taking-back', ['record owner'], -1),
    ],
    ['a new process takes what it granted', 'in-doubt', 'boot', interrupted.boot as OwnershipRule],
    ['a new process takes what it lost', 'lost', 'boot', interrupted.boot as OwnershipRule],
    ['what failed to be taken back is granted', 'taking-back', 'refused', go('granting', [], 1)],
  ])('%s', (_what, ...changed) => {
    const budgets: readonly Partial<Budget>[] = [
      { reset: 1, stranger: 1 },
      { crash: 1, refusal: 2 },
      { reset: 1, crash: 1, refusal: 1 },
    ];
    const violations = budgets.map(
      (faults) => explore({ ...QUIET, ...faults }, broken(...changed)).violation,
    );
    expect(violations.find((violation) => violation !== undefined)).toBeDefined();
  });

  test.each<[string, ...Changed]>([
    ['a side that has abandoned does not say so', 'abandoned', 'asked', go('abandoned', [])],
    ['an abandoned guest is not taken back', 'in-doubt', 'peer-abandoned', go('in-doubt', [])],
    ['nothing is tried again', 'withheld', 'failed', go('withheld', [])],
    ['an operator cannot decide', 'in-doubt', 'take-ownership', go('in-doubt', [])],
  ])('%s', (_what, ...changed) => {
    const found = explore({ ...QUIET, reset: 1, refusal: 2, gone: 1 }, broken(...changed));
    expect(found.violation).toBeUndefined();
    const byThemselves = found.stuck(
      ['step'],
      ({ sides }) => !sides.some(isMemoryLost) && !sides.some(({ process }) => process === 'gone'),
    );
    const decided = found.stuck(['step', 'operator'], ({ sides }) => sides.some(isWithRecord));
    expect([...byThemselves, ...decided].length).toBeGreaterThan(0);
  });
});

/** A process died with the RAM of the guest, so that no message can bring it back. */
function isMemoryLost({ ownership, disk }: ModelSide): boolean {
  const { phase, hasMemory } = ownership;
  if (disk?.state === 'lost' || ['losing', 'noting-lost', 'lost'].includes(phase)) return true;
  return disk?.state === 'granting' && (!hasMemory || phase === 'booting' || phase === 'stopped');
}

/** It is there and has heard of the guest. */
function isWithRecord({ process, disk }: ModelSide): boolean {
  return process !== 'gone' && disk !== undefined;
}
