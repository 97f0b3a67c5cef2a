import { describe, expect, test } from 'vitest';
import {
  isWriting,
  mayRun,
  OWNERSHIP_RULES,
  type Ownership,
  type OwnershipEvent,
  type OwnershipPhase,
  ownershipAfterRestart,
  stepOwnership,
  UNKNOWN_GUEST,
} from '../../../src/base/index.ts';
// A plain module: it also runs where nothing is built.
// @ts-expect-error It has no types.
import { currentOwnershipTable, ownershipTable } from '../../../tools/gen-docs.mjs';

const OWNER: Ownership = {
  phase: 'owner',
  epoch: 4,
  migrationId: 'first',
  formerMigrationId: undefined,
  hasMemory: true,
};

function run(from: Ownership, ...events: OwnershipEvent[]) {
  const effects: string[] = [];
  let ownership = from;
  for (const event of events) {
    const step = stepOwnership(ownership, event);
    if (step === undefined) return { ownership, effects, refused: event.type };
    ownership = step.ownership;
    effects.push(...step.effects);
  }
  return { ownership, effects };
}

describe('stepOwnership()', () => {
  test('gives the guest away: first the record, then GRANT', () => {
    const { ownership, effects } = run(
      OWNER,
      { type: 'give', migrationId: 'm' },
      { type: 'recorded' },
      { type: 'send-grant' },
      { type: 'resumed', epoch: 5, migrationId: 'm' },
      { type: 'recorded' },
    );
    expect(effects).toEqual(['pause', 'record granting', 'send GRANT', 'record granted']);
    expect(ownership).toMatchObject({ phase: 'granted', epoch: 5, migrationId: 'm' });
  });

  test('takes it back under the name by which it came', () => {
    const { ownership, effects } = run(
      OWNER,
      { type: 'give', migrationId: 'm' },
      { type: 'recorded' },
      { type: 'failed' },
      { type: 'recorded' },
    );
    expect(effects).toEqual(['pause', 'record granting', 'record owner', 'run']);
    expect(ownership).toMatchObject({ phase: 'owner', epoch: 4, migrationId: 'first' });
  });

  test.each<OwnershipEvent>([
    { type: 'answered', answer: 'abandoned', epoch: 5, migrationId: 'earlier' },
    { type: 'answered', answer: 'abandoned', epoch: 4, migrationId: 'm' },
    { type: 'resumed', epoch: 5, migrationId: 'earlier' },
    { type: 'recorded' },
  ])('refuses in doubt what is not about its own question: %o', (event) => {
    const inDoubt: Ownership = { ...OWNER, phase: 'in-doubt', epoch: 5, migrationId: 'm' };
    expect(stepOwnership(inDoubt, event)).toBeUndefined();
  });

  test('does not run RAM that died with a process, and builds the guest at a new epoch', () => {
    const found = ownershipAfterRestart({ state: 'granting', epoch: 5, migrationId: 'm' });
    const back = run(
      found,
      { type: 'answered', answer: 'abandoned', epoch: 5, migrationId: 'm' },
      { type: 'recorded' },
    );
    expect(back.effects).toEqual(['record owner']);
    expect(back.ownership).toMatchObject({ phase: 'interrupted', epoch: 4 });
    const built = run(back.ownership, { type: 'boot' }, { type: 'recorded' });
    expect(built.effects).toEqual(['record owner', 'run']);
    expect(built.ownership).toMatchObject({ phase: 'owner', epoch: 5, hasMemory: true });
  });

  test('mayRun() is true in one phase, and isWriting() where only the disk is heard', () => {
    const phases = Object.keys(OWNERSHIP_RULES) as OwnershipPhase[];
    expect(phases.filter((phase) => mayRun({ ...UNKNOWN_GUEST, phase }))).toEqual(['owner']);
    for (const phase of phases) {
      const triggers = Object.keys(OWNERSHIP_RULES[phase]);
      const isDisk = triggers.includes('recorded');
      expect(isWriting({ ...UNKNOWN_GUEST, phase })).toBe(isDisk);
      if (isDisk) expect(triggers).toEqual(['recorded', 'refused']);
    }
  });

  test('every record is awaited, and the last thing that is done', () => {
    for (const rules of Object.values(OWNERSHIP_RULES)) {
      for (const { to, effects } of Object.values(rules)) {
        const places = effects.flatMap((effect, place) =>
          effect.startsWith('record ') ? [place] : [],
        );
        expect(places).toEqual(
          isWriting({ ...UNKNOWN_GUEST, phase: to }) ? [effects.length - 1] : [],
        );
      }
    }
  });

  test('docs/guest-ownership.md has the table', () => {
    // After a change of the rules: npm run docs
    expect(currentOwnershipTable()).toBe(ownershipTable(OWNERSHIP_RULES));
  });
});
