import { describe, expect, it, vi } from 'vitest';
import { SternaError } from '../../../src/base/index.ts';
import { ResidentGuest } from '../../../src/control/migration/resident-guest.ts';
import type { Machine } from '../../../src/guestmem/index.ts';

const UUID = '0f0e0d0c-0000-4000-8000-00000000000a';
const OTHER = '0f0e0d0c-0000-4000-8000-00000000000b';

function resident() {
  const calls: string[] = [];
  const guest = new ResidentGuest({
    mayYield: () => {
      calls.push('may-yield');
      return false;
    },
    mustStand: () => calls.push('must-stand'),
    yielded: () => calls.push('yielded'),
  });
  return { guest, calls };
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
});
