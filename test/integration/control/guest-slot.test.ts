import { afterEach, describe, expect, it } from 'vitest';
import { type Deferred, deferred, silentLogger } from '../../../src/base/index.ts';
import { type GuestEnd, GuestSlot } from '../../../src/control/guest-slot.ts';
import { hostDevices } from '../../../src/control/machine/host-devices.ts';
import { describeGuest } from '../../../src/control/machine/local-machine.ts';
import { guestTest } from '../../support/riscv-compiler.ts';
import { RiscvGuest } from '../../support/riscv-guest.ts';
import { IDLE_GUEST } from './agent-harness.ts';

/**
 * Run states and events of a real guest, as they follow from what engines and operators do to it.
 */

const DEVICES = hostDevices({});
const GUEST = describeGuest('g', '0f0e0d0c-0000-4000-8000-00000000000f', IDLE_GUEST, DEVICES);
const DESCRIPTION = GUEST.description;

describe('GuestSlot', () => {
  let events: string[] = [];
  let ends: GuestEnd[] = [];
  let next: Deferred<string> = deferred();
  let slot: GuestSlot | undefined;

  afterEach(() => slot?.close());

  function newSlot(startPaused = false): GuestSlot {
    events = [];
    ends = [];
    next = deferred();
    const emit = (event: string) => {
      events.push(event);
      next.resolve(event);
    };
    const ended = (end: GuestEnd) => ends.push(end);
    slot = new GuestSlot({ emit, resides: () => {}, ended }, silentLogger(), {
      name: 'agent',
      startPaused,
      reserve: undefined,
      devices: DEVICES,
    });
    return slot;
  }

  it('build() lets the guest run, without an event', async () => {
    const guests = newSlot();
    expect(guests.runState).toBe('inmigrate');
    await guests.build(GUEST);
    expect(guests.runState).toBe('running');
    expect(guests.need().pauseReasons()).toEqual([]);
    expect(events).toEqual([]);
  });

  it('build() leaves the guest paused when it was asked to', async () => {
    const guests = newSlot(true);
    await guests.build(GUEST);
    expect(guests.runState).toBe('paused');
    expect(guests.need().pauseReasons()).toEqual(['operator']);
    guests.continue();
    expect(guests.runState).toBe('running');
    expect(events).toEqual(['RESUME']);
  });

  it('yield() lets the guest stand still, and no word but that of an operator moves it', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    await guests.yield();
    expect(guests.need().pauseReasons()).toEqual(['ownership']);
    expect(guests).toMatchObject({ runState: 'finish-migrate', isOwned: false });
    expect(() => guests.continue()).toThrow('Migration is not finalized yet');
    expect(events).toEqual(['STOP']);
  });

  it('discard() takes a guest away that was told to yield and has not come to a stand yet', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    void guests.yield();
    await guests.discard();
    expect(guests.runState).toBe('inmigrate');
    expect(guests.isVacant).toBe(true);
  });

  it('discard() takes a guest away that an engine has paused, before anybody has told of it', async () => {
    const guests = newSlot();
    await guests.receive(DESCRIPTION);
    guests.need().resume('ownership');
    guests.noteResumed('ownership');
    const paused = guests.need().pause('ownership');
    await guests.discard();
    expect(guests).toMatchObject({ runState: 'inmigrate', isVacant: true });
    // The news of a machine that is gone: whether it stood still before it ended does not matter.
    await paused.catch(() => {});
    guests.notePaused();
    expect(guests).toMatchObject({ runState: 'inmigrate', isVacant: true });
    await guests.receive(DESCRIPTION);
    guests.need().resume('ownership');
    guests.noteResumed('ownership');
    expect(guests.runState).toBe('running');
    expect(events).toEqual(['RESUME', 'RESUME']);
  });

  it('tells of a pause and what follows also when both are over', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    await guests.need().pause('migration');
    guests.need().resume('migration');
    guests.notePaused();
    guests.noteResumed('migration');
    expect(events).toEqual(['STOP', 'RESUME']);
  });

  it('leave() keeps the RAM of a guest that is not whole where it went', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    guests.leave(false);
    // Another guest would take its place, and an operator may want it back.
    expect(guests).toMatchObject({
      runState: 'postmigrate',
      isVacant: false,
      residentUuid: undefined,
    });
    guests.leave(true);
    expect(guests).toMatchObject({ isAway: true, isVacant: true });
    guests.leave(false);
    expect(guests.isVacant).toBe(true);
  });

  it('comeBack() lets it run here again, and tells torn RAM from RAM that is whole', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    guests.leave(false);
    await guests.need().pause('ownership');
    await guests.need().pause('checkpoint');
    expect(guests.isTorn).toBe(true);
    guests.need().resume('checkpoint');
    expect(guests.isTorn).toBe(false);
    guests.comeBack();
    expect(guests).toMatchObject({ isRunning: true, residentUuid: DESCRIPTION.uuid });
  });

  it('stop() survives a migration that fails', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    await guests.stop();
    await guests.need().pause('migration');
    guests.notePaused();
    expect(guests.runState).toBe('finish-migrate');
    expect(() => guests.continue()).toThrow('Migration is not finalized yet');
    guests.need().resume('migration');
    guests.noteResumed('migration');
    expect(guests.runState).toBe('paused');
    expect(events).toEqual(['STOP']);
  });

  it('receive() waits for the grant, and stop() and continue() before it decide how the guest starts', async () => {
    const guests = newSlot();
    await guests.receive(DESCRIPTION);
    expect(guests.runState).toBe('inmigrate');
    expect(guests.isOwned).toBe(false);
    await guests.stop();
    guests.need().resume('ownership');
    guests.noteResumed('ownership');
    expect(guests.runState).toBe('paused');
    expect(guests.isOwned).toBe(true);
    guests.continue();
    expect(guests.runState).toBe('running');
  });

  it('discard() takes away what has come, and nothing that is here', async () => {
    const guests = newSlot();
    await guests.receive(DESCRIPTION);
    await guests.discard();
    expect(() => guests.need()).toThrow('There is no guest here');
    await guests.build(GUEST);
    await guests.discard();
    expect(guests.runState).toBe('running');
  });

  it('leave() makes room only when the destination has said that it has the guest', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    guests.leave(false);
    expect(guests.runState).toBe('postmigrate');
    expect([guests.isAway, guests.isVacant]).toEqual([true, false]);
    guests.comeBack();
    expect(guests.runState).toBe('running');
    guests.leave(true);
    expect([guests.isAway, guests.isVacant]).toEqual([true, true]);
    expect(events).toEqual(['STOP', 'RESUME', 'STOP']);
  });

  it('tells of a vCPU that died, and never lets the guest go on', async () => {
    const guests = newSlot();
    await guests.build(GUEST);
    guests.need().control.quit();
    expect(await next.promise).toBe('STOP');
    expect(guests.runState).toBe('internal-error');
    expect(() => guests.continue()).toThrowError(
      expect.objectContaining({ code: 'E_WORKER_DIED' }),
    );
  });

  guestTest('tells once of a guest that had ended before it came, where it is', async () => {
    const elsewhere = await RiscvGuest.start({ name: 'finish', variant: 2 });
    const end = await elsewhere.ends();
    await elsewhere.machine.pause('migration');
    const guests = newSlot();
    await guests.receive(elsewhere.machine.description);
    await guests.need().load(await elsewhere.machine.save());
    expect(ends).toEqual([]);
    guests.need().resume('ownership');
    guests.noteResumed('ownership');
    guests.noteResumed('ownership');
    expect(guests.runState).toBe('shutdown');
    expect(ends).toEqual([end]);
    // It went on elsewhere, and an operator has it here again.
    guests.leave(false);
    guests.comeBack();
    expect(ends).toEqual([end, end]);
  });
});
