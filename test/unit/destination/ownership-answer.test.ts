import { describe, expect, test } from 'vitest';
import type { OwnershipAnswer, OwnershipState } from '../../../src/base/index.ts';
import { answerByRecord } from '../../../src/destination/ownership/ownership-answer.ts';
import { RecordingLedger } from '../../support/engine-pair.ts';
import { FAKE_DESCRIPTION } from '../../support/fake-machine.ts';

const { uuid } = FAKE_DESCRIPTION;
const QUESTION = { epoch: 5, migrationId: 'm' };

async function sideWith(state: OwnershipState, epoch: number, isHere: boolean) {
  const ledger = new RecordingLedger();
  await ledger.write({ uuid, epoch, state, migrationId: 'm', peer: 'tcp:peer' });
  const pauses: string[] = [];
  const side = {
    ...{ ledger, uuid, peer: 'tcp:peer', isHere },
    pause: () => void pauses.push('pause'),
    yielded: () => void pauses.push(`yielded, ${ledger.states.at(-1)}`),
  };
  return { side, ledger, pauses };
}

describe('answerByRecord()', () => {
  test.each<[OwnershipState, number, boolean, OwnershipAnswer, string[]]>([
    ['owner', 5, true, 'owner', []],
    ['owner', 5, false, 'lost', ['lost 5']],
    ['lost', 5, false, 'lost', []],
    ['preparing', 5, false, 'abandoned', ['abandoned 5']],
    ['abandoned', 5, false, 'abandoned', []],
    ['granting', 6, false, 'moved', []],
    ['granted', 6, false, 'moved', []],
    ['owner', 7, true, 'moved', []],
    ['abandoned', 4, false, 'none', []],
    ['granted', 4, false, 'none', []],
  ])(
    'by the record %s %i, guest here: %s, says %s',
    async (state, epoch, isHere, said, written) => {
      const { side, ledger } = await sideWith(state, epoch, isHere);
      expect(await answerByRecord(side, QUESTION)).toBe(said);
      expect(ledger.states.slice(1)).toEqual(written);
    },
  );

  test('says none where nothing is known', async () => {
    const ledger = new RecordingLedger();
    const side = { ledger, uuid, peer: 'p', isHere: false, pause: () => {}, yielded: () => {} };
    expect(await answerByRecord(side, QUESTION)).toBe('none');
    expect(ledger.states).toEqual([]);
  });

  test('stops the guest when the source runs it at a later epoch', async () => {
    const { side, ledger, pauses } = await sideWith('owner', 5, true);
    expect(await answerByRecord(side, { ...QUESTION, claimedEpoch: 6 })).toBe('moved');
    expect(pauses).toEqual(['pause', 'yielded, granted 6']);
    expect(ledger.states.slice(1)).toEqual(['granted 6']);
  });

  test('does not believe a claim that names another migration', async () => {
    const { side, ledger, pauses } = await sideWith('owner', 5, true);
    const claim = { epoch: 5, migrationId: 'another', claimedEpoch: 6 };
    expect(await answerByRecord(side, claim)).toBe('owner');
    expect(pauses).toEqual([]);
    expect(ledger.states).toHaveLength(1);
  });
});
