import { describe, expect, it } from 'vitest';
import {
  type OwnershipState,
  SternaError,
  silentLogger,
  volatileLedger,
} from '../../../src/base/index.ts';
import type { GuestSlot } from '../../../src/control/guest-slot.ts';
import { initialInfo } from '../../../src/control/migration/initial-info.ts';
import type { MigrationHost } from '../../../src/control/migration/migration-host.ts';
import type { ListenRequest } from '../../../src/control/migration/migration-messages.ts';
import type { Residence } from '../../../src/control/migration/resident-guest.ts';
import { Migrations } from '../../../src/control/migrations.ts';

/**
 * What becomes of the guest when the migration worker dies: the ledger decides, never the moment.
 */

const UUID = '0f0e0d0c-0000-4000-8000-00000000000e';
const death = () => new SternaError('E_WORKER_DIED', 'Migration worker died');

function agentWith(guest: Partial<Record<keyof GuestSlot, unknown>>, state: OwnershipState) {
  const calls: string[] = [];
  const note = (name: string) => (argument?: unknown) => {
    calls.push(argument === undefined ? name : `${name} ${String(argument)}`);
  };
  const machine = {
    description: { uuid: UUID },
    memory: { pageCount: 4096 },
    handles: () => ({}),
    resume: note('resume'),
    setPostcopy: note('set-postcopy'),
    faults: { wake: note('wake') },
  };
  const guests = {
    isOwned: true,
    isAway: false,
    isArriving: false,
    isVacant: false,
    isTorn: false,
    startsPaused: false,
    uuid: UUID,
    runState: 'finish-migrate',
    need: () => machine,
    noteResumed: note('note-resumed'),
    leave: note('leave'),
    stay: note('stay'),
    discard: async () => calls.push('discard'),
    ...guest,
  };
  const host = {
    listen: async ({ uri, resident }: ListenRequest) => {
      calls.push(`listen ${uri}, ${resident.occupied} ${resident.uuid}`);
      return uri.replace(/:0$/, ':4444');
    },
    startOutgoing: note('start-outgoing'),
    tell: (message: { type: string; resident?: Residence }) => {
      if (message.type === 'set-resident') calls.push(`occupied ${message.resident?.occupied}`);
    },
  };
  const ledger = volatileLedger();
  const ready = ledger.write({ uuid: UUID, epoch: 1, state, migrationId: 'm', peer: 'tcp:h:1' });
  const migrations = new Migrations({
    host: host as unknown as MigrationHost,
    guests: guests as unknown as GuestSlot,
    ledger,
    log: silentLogger(),
    expectedUuid: undefined,
    emit: () => {},
  });
  return { migrations, calls, guests, ready, ledger };
}

describe('Migrations.workerDied()', () => {
  it('lets the guest go on when it was not granted', async () => {
    const { migrations, calls, ready } = agentWith({}, 'owner');
    await ready;
    migrations.start('tcp:h:1');
    calls.length = 0;
    await migrations.workerDied(death());
    expect(calls).toEqual([
      'stay',
      'resume ownership',
      'note-resumed ownership',
      'resume migration',
      'note-resumed migration',
      'occupied true',
    ]);
    expect(migrations.latest).toMatchObject({
      status: 'failed',
      owner: 'source',
      error: { code: 'E_WORKER_DIED', guestOwner: 'source' },
    });
    expect(migrations.isRunning).toBe(false);
  });

  it.each(['granting', 'granted'] as const)(
    'leaves the guest paused when %s is recorded',
    async (state) => {
      const { migrations, calls, ready } = agentWith({}, state);
      await ready;
      migrations.start('tcp:h:1');
      calls.length = 0;
      await migrations.workerDied(death());
      expect(new Set(calls)).toEqual(new Set(['leave false', 'occupied true']));
      expect(migrations.latest).toMatchObject({
        status: 'failed',
        owner: 'unknown',
        error: { code: 'E_OWNERSHIP_UNKNOWN', detail: { peer: 'tcp:h:1' } },
      });
    },
  );

  it('does not undo a migration that was complete', async () => {
    const { migrations, calls, ready } = agentWith({}, 'granted');
    await ready;
    migrations.start('tcp:h:1');
    const { latest } = migrations;
    if (latest === undefined) throw new Error('start() has published nothing');
    migrations.receive({
      type: 'info',
      info: { ...latest, status: 'completed', owner: 'destination' },
    });
    await migrations.workerDied(death());
    expect(calls).toContain('leave true');
    expect(calls).not.toContain('resume migration');
    expect(migrations.latest?.status).toBe('completed');
  });

  it.each([
    ['completed', 'destination', 'leave true'],
    ['failed', 'source', 'stay'],
  ] as const)('heeds an answer that comes behind the end: %s', async (status, owner, call) => {
    const { migrations, calls, ready } = agentWith({}, 'granting');
    await ready;
    migrations.start('tcp:h:1');
    await migrations.workerDied(death());
    const { latest } = migrations;
    if (latest === undefined) throw new Error('start() has published nothing');
    calls.length = 0;
    migrations.receive({ type: 'info', info: { ...latest, status, owner, error: undefined } });
    expect(calls).toEqual([call, 'occupied true']);
    expect(migrations.latest).toMatchObject({ status, owner });
  });

  const incoming = initialInfo({
    side: 'destination',
    status: 'active',
    migrationId: 'm',
    mode: 'precopy',
    epoch: 2,
    totalBytes: 0,
  });

  it('throws half a guest away, and listens again at the same port', async () => {
    const arriving = { isOwned: false, isArriving: true, isVacant: true };
    const { migrations, calls, ready } = agentWith(arriving, 'preparing');
    await ready;
    await migrations.listen('tcp:127.0.0.1:0');
    migrations.receive({ type: 'info', info: incoming });
    calls.length = 0;
    await migrations.workerDied(death());
    expect(calls).toEqual(['discard', 'listen tcp:127.0.0.1:4444, false undefined']);
    expect(migrations.latest).toMatchObject({ status: 'failed', owner: 'source' });
  });

  it('listens again only with the word that a guest lives here', async () => {
    const { migrations, calls, guests, ready } = agentWith({ isVacant: true }, 'owner');
    await ready;
    await migrations.listen('tcp:127.0.0.1:0');
    Object.assign(guests, { isVacant: false, residentUuid: UUID });
    calls.length = 0;
    await migrations.workerDied(death());
    // Else a source that comes in between is told that the guest is lost.
    expect(calls).toEqual([`listen tcp:127.0.0.1:4444, true ${UUID}`]);
  });

  it('has no guest any more when a user of the source runs it there', async () => {
    const { migrations, calls, ready } = agentWith({}, 'granted');
    await ready;
    migrations.receive({ type: 'info', info: { ...incoming, status: 'completed' } });
    calls.length = 0;
    migrations.receive({ type: 'guest-yielded' });
    expect(calls).toEqual(['leave true', 'occupied true']);
    expect(migrations.latest).toMatchObject({
      status: 'failed',
      owner: 'source',
      error: { code: 'E_TAKEN_BACK', guestOwner: 'source' },
    });
  });

  it('runs a guest whose ownership was recorded here', async () => {
    const { migrations, calls, ready } = agentWith({ isOwned: false, isArriving: true }, 'owner');
    await ready;
    migrations.receive({ type: 'info', info: { ...incoming, status: 'device' } });
    await migrations.workerDied(death());
    expect(calls).toEqual(['resume ownership', 'note-resumed ownership']);
    expect(migrations.latest).toMatchObject({ owner: 'destination' });
  });

  describe('in post-copy', () => {
    const arriving = {
      ...incoming,
      status: 'postcopy-active',
      mode: 'postcopy',
      owner: 'destination',
    } as const;

    it('says that the guest is at the destination, and what it waits for', async () => {
      const { migrations, calls, ready } = agentWith({}, 'granted');
      await ready;
      migrations.start('tcp:h:1');
      const { latest } = migrations;
      if (latest === undefined) throw new Error('start() has published nothing');
      const info = {
        ...latest,
        status: 'postcopy-active',
        owner: 'destination',
        epoch: 2,
      } as const;
      migrations.receive({ type: 'info', info });
      expect(migrations.servesPages).toBe(true);
      const departed = migrations.departed();
      calls.length = 0;
      await migrations.workerDied(death());
      await departed;
      // Not `leave true`: the RAM here stays, and an operator can take the guest back.
      expect(new Set(calls)).toEqual(new Set(['leave false', 'occupied true']));
      expect(migrations.servesPages).toBe(false);
      expect(migrations.latest).toMatchObject({
        status: 'failed',
        owner: 'destination',
        error: { code: 'E_WORKER_DIED', detail: { peer: 'tcp:h:1', epoch: 2 } },
      });
    });

    it('does not know where it is while the destination has not said so', async () => {
      const { migrations, calls, ready } = agentWith({}, 'granting');
      await ready;
      migrations.start('tcp:h:1');
      const { latest } = migrations;
      if (latest === undefined) throw new Error('start() has published nothing');
      const info = { ...latest, status: 'postcopy-paused', owner: 'unknown', epoch: 2 } as const;
      calls.length = 0;
      migrations.receive({ type: 'info', info });
      expect(calls).toEqual(['leave false']);
      await migrations.workerDied(death());
      expect(migrations.latest).toMatchObject({
        status: 'failed',
        owner: 'unknown',
        error: { code: 'E_OWNERSHIP_UNKNOWN' },
      });
    });

    it('ends a guest that can never be whole, and only then records that', async () => {
      let stateWhenLost = '';
      const { migrations, calls, ready, ledger } = agentWith(
        {
          missingPages: 7,
          lose: async () => {
            stateWhenLost = ledger.read(UUID)?.state ?? '';
            calls.push('lose');
          },
        },
        'owner',
      );
      await ready;
      migrations.receive({ type: 'info', info: arriving });
      calls.length = 0;
      await migrations.workerDied(death());
      expect(calls).toEqual(['lose']);
      expect(stateWhenLost).toBe('owner');
      expect(ledger.read(UUID)?.state).toBe('lost');
      expect(migrations.latest).toMatchObject({
        status: 'failed',
        owner: 'none',
        error: { code: 'E_GUEST_LOST', detail: { missingPages: 7 } },
      });
    });

    it('keeps a guest that has come as a whole', async () => {
      const { migrations, calls, ready, ledger } = agentWith({ missingPages: 0 }, 'owner');
      await ready;
      migrations.receive({ type: 'info', info: arriving });
      calls.length = 0;
      await migrations.workerDied(death());
      expect(calls).toEqual(['set-postcopy false', 'wake', 'resume checkpoint']);
      expect(ledger.read(UUID)?.state).toBe('owner');
      expect(migrations.latest).toMatchObject({ status: 'failed', owner: 'destination' });
    });
  });
});
