import { describe, expect, it, vi } from 'vitest';
import { SimClock, SternaError } from '../../../src/base/index.ts';
import { ResidentGuest } from '../../../src/control/migration/resident-guest.ts';
import type { Machine } from '../../../src/guestmem/index.ts';

const UUID = '0f0e0d0c-0000-4000-8000-00000000000a';
const OTHER = '0f0e0d0c-0000-4000-8000-00000000000b';

function resident() {
  const calls: string[] = [];
  const state = { isLeaving: false };
  const guest = new ResidentGuest({
    isLeaving: () => state.isLeaving,
    mayYield: () => {
      calls.push('may-yield');
      return false;
    },
    mustStand: () => calls.push('must-stand'),
    yielded: () => calls.push('yielded'),
  });
  return { guest, calls, state };
}

function machineThat(pause: (reason: string) => Promise<void>): Machine {
  // What is asked of it here.
  return { description: { uuid: UUID }, pause } as unknown as Machine;
}

describe('ResidentGuest', () => {
  it('knows the guest by what the main thread says, whatever the case of its uuid', () => {
    const { guest, calls } = resident();
    expect([guest.isOccupied, guest.isHere(UUID)]).toEqual([false, false]);
    guest.set({ occupied: true, uuid: UUID.toUpperCase() });
    expect([guest.isOccupied, guest.isHere(UUID), guest.isHere(OTHER)]).toEqual([
      true,
      true,
      false,
    ]);
    guest.pause(UUID);
    guest.pause(OTHER);
    expect([guest.mayYield(OTHER), guest.mayYield(UUID)]).toEqual([true, false]);
    guest.yielded(OTHER);
    guest.yielded(UUID);
    expect(calls).toEqual(['must-stand', 'may-yield', 'yielded']);
  });

  it('has no guest of that name while RAM is only in use', () => {
    const { guest } = resident();
    guest.set({ occupied: true, uuid: undefined });
    expect([guest.isOccupied, guest.isHere(UUID)]).toEqual([true, false]);
  });

  it('pauses a guest that has come here itself', () => {
    const { guest, calls } = resident();
    guest.came(
      machineThat(async (reason) => {
        calls.push(`pause ${reason}`);
      }),
    );
    expect(guest.isHere(UUID)).toBe(true);
    guest.pause(UUID);
    expect(calls).toEqual(['pause ownership']);
    guest.set({ occupied: false, uuid: undefined });
    guest.pause(UUID);
    expect(calls).toHaveLength(1);
  });

  it('survives a guest that cannot be paused', async () => {
    const { guest } = resident();
    const refused = new SternaError('E_WORKER_DIED', 'vCPU 0 has ended');
    const paused = Promise.reject(refused);
    const caught = vi.spyOn(paused, 'catch');
    guest.came(machineThat(() => paused));
    guest.pause(UUID);
    expect(caught).toHaveBeenCalledOnce();
    await expect(paused).rejects.toBe(refused);
  });

  it('settled() waits for a guest that is on its way out, but not for ever', async () => {
    const { guest, state } = resident();
    const clock = new SimClock();
    const order: string[] = [];
    await guest.settled(clock);
    guest.set({ occupied: true, uuid: UUID });
    await guest.settled(clock);
    state.isLeaving = true;
    void guest.settled(clock).then(() => order.push('settled'));
    await clock.advance(4_999);
    guest.set({ occupied: true, uuid: UUID });
    await clock.advance(0);
    expect(order).toEqual([]);
    await clock.advance(1);
    expect(order).toEqual(['settled']);
  });

  it('settled() waits on until the main thread has heard that the guest has left', async () => {
    const { guest } = resident();
    const order: string[] = [];
    guest.set({ occupied: true, uuid: UUID });
    guest.departed(true);
    const settled = guest.settled(new SimClock()).then(() => order.push('settled'));
    guest.set({ occupied: true, uuid: undefined });
    await new Promise((resolve) => setImmediate(resolve));
    order.push('vacant');
    guest.set({ occupied: false, uuid: undefined });
    await settled;
    expect(order).toEqual(['vacant', 'settled']);
    // And the next guest is one that stays.
    guest.came(machineThat(async () => {}));
    await guest.settled(new SimClock());
  });
});
