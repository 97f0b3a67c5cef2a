import { describe, expect, it } from 'vitest';
import { type OwnershipState, SternaError, silentLogger } from '../../../src/base/index.ts';
import { GuestClaims } from '../../../src/control/guest-claims.ts';
import type { ClaimRequest } from '../../../src/control/migration/migration-messages.ts';
import type { HandOverNote, HandOverNotes } from '../../../src/control/state/hand-over-note.ts';

const UUID = '0f0e0d0c-0000-4000-8000-00000000000b';
const NOTE: HandOverNote = {
  uuid: UUID,
  uri: 'tcp:h:1',
  migrationId: 'm',
  secret: 'f'.repeat(32),
  epoch: 2,
};

/** What is on disk outlives a process; `broken`: the disk is full. */
function agent(disk = new Map<string, HandOverNote>(), broken = false) {
  const claimed: ClaimRequest[] = [];
  const notes: Pick<HandOverNotes, 'read' | 'write' | 'remove'> = {
    read: (uuid) => disk.get(uuid),
    write: (note) => {
      if (broken) throw new SternaError('E_STATE_DIRECTORY', 'disk full');
      disk.set(note.uuid, note);
    },
    remove: (uuid) => disk.delete(uuid),
  };
  const host = { claim: (request: ClaimRequest) => claimed.push(request) };
  const claims = new GuestClaims({ notes: notes as HandOverNotes, host, log: silentLogger() });
  return { claims, claimed, disk };
}

const record = (state: OwnershipState, migrationId: string | undefined = 'm') => ({
  ...{ uuid: UUID, epoch: 2, state, migrationId },
  peer: 'tcp:h:1',
});

describe('GuestClaims', () => {
  it('says nothing of a guest that never left', () => {
    const { claims, claimed, disk } = agent();
    claims.begin(NOTE);
    expect(disk.get(UUID)).toEqual(NOTE);
    claims.workerDied();
    claims.stayed();
    claims.taken(3);
    expect([claimed, disk.size]).toEqual([[], 0]);
  });

  it('tells the destination where it is now, by each worker, until it has answered', () => {
    const { claims, claimed, disk } = agent();
    claims.begin(NOTE);
    claims.movedTo('tcp:h:2');
    claims.taken(3);
    claims.workerDied();
    const claim = { ...NOTE, uri: 'tcp:h:2', claimedEpoch: 3 };
    expect(claimed).toEqual([claim, claim]);
    claims.answered('another');
    expect(disk.get(UUID)).toEqual(claim);
    claims.answered('m');
    claims.workerDied();
    expect([claimed.length, disk.size]).toEqual([2, 0]);
  });

  it('tells it also when the disk keeps no note', () => {
    const { claims, claimed } = agent(new Map(), true);
    claims.begin(NOTE);
    claims.taken(3);
    expect(claimed).toEqual([{ ...NOTE, claimedEpoch: 3 }]);
  });

  it.each<[string, HandOverNote | undefined, ReturnType<typeof record> | undefined, boolean]>([
    ['was in doubt', NOTE, record('granting'), true],
    ['was granted', NOTE, record('granted'), true],
    ['was lost there', NOTE, record('lost'), true],
    ['was granted by another migration', NOTE, record('granted', 'other'), false],
    ['ran here', NOTE, record('owner', undefined), false],
    ['ran here untold', { ...NOTE, claimedEpoch: 3 }, record('owner', undefined), true],
    ['only prepared to come here', NOTE, record('preparing'), false],
    ['is new', NOTE, undefined, false],
    ['left no note', undefined, record('granted'), false],
  ])('a guest that is built anew and %s: %j %j, told: %s', (_, note, before, isTold) => {
    const { claims, claimed } = agent(new Map(note === undefined ? [] : [[UUID, note]]));
    claims.rebuilt(UUID, 4, before);
    expect(claimed).toEqual(isTold ? [{ ...NOTE, claimedEpoch: 4 }] : []);
  });
});
