import { describe, expect, test } from 'vitest';
import { machineDescription, parseWorkloadSpec, refusal } from '../../../src/guest/index.ts';
import type { MachineDescription } from '../../../src/guestmem/index.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;

function describeMachine(ramBytes: number): MachineDescription {
  return machineDescription({
    name: 'guest',
    uuid: 'b8a2fb1c-0d3c-4e57-9a9a-6a3c8b1f7f10',
    ramBytes,
    vcpuCount: 2,
    spec: parseWorkloadSpec('memwrite,hot=1M'),
    seed: 1,
  });
}

describe('machineDescription()', () => {
  test.each([
    [16 * MIB, [16 * MIB]],
    [2 * GIB, [2 * GIB]],
    [5 * GIB, [2 * GIB, 2 * GIB, GIB]],
    [16 * GIB, new Array(8).fill(2 * GIB)],
  ])('splits %i bytes into blocks', (ramBytes, sizes) => {
    const blocks = describeMachine(ramBytes).ramBlocks;
    expect(blocks.map(({ bytes }) => bytes)).toEqual(sizes);
    expect(blocks.map(({ name }) => name)).toEqual(sizes.map((_, index) => `ram${index}`));
  });

  test.each([15 * MIB, 17 * GIB, 16 * MIB + 1, 1e18, Number.NaN, -1])(
    'refuses %d bytes',
    (ramBytes) => {
      expect(() => describeMachine(ramBytes)).toThrow(
        expect.objectContaining({ code: 'E_CONFIG_INVALID' }),
      );
    },
  );
});

describe('refusal()', () => {
  const good = describeMachine(16 * MIB);

  test('accepts what machineDescription() made', () => {
    expect(refusal(good)).toBeUndefined();
  });

  test.each<[string, Partial<MachineDescription>, string]>([
    ['type', { type: 'virt-riscv64' }, 'E_HANDSHAKE_MACHINE'],
    ['version', { version: 2 }, 'E_HANDSHAKE_MACHINE'],
    ['no vCPU', { vcpuCount: 0 }, 'E_HANDSHAKE_MACHINE'],
    ['too many vCPUs', { vcpuCount: 17 }, 'E_HANDSHAKE_MACHINE'],
    ['half a vCPU', { vcpuCount: 1.5 }, 'E_HANDSHAKE_MACHINE'],
    ['long name', { name: 'x'.repeat(129) }, 'E_HANDSHAKE_MACHINE'],
    ['no workload', { config: { seed: 1 } }, 'E_HANDSHAKE_MACHINE'],
    ['bad workload', { config: { workload: 'memwrite,hot=1G', seed: 1 } }, 'E_HANDSHAKE_MACHINE'],
    ['bad seed', { config: { workload: 'idle', seed: -1 } }, 'E_HANDSHAKE_MACHINE'],
    ['no RAM', { ramBlocks: [] }, 'E_HANDSHAKE_RAM_LAYOUT'],
    ['odd block', { ramBlocks: [{ name: 'a', bytes: 16 * MIB + 1 }] }, 'E_HANDSHAKE_RAM_LAYOUT'],
    ['huge block', { ramBlocks: [{ name: 'a', bytes: 3 * GIB }] }, 'E_HANDSHAKE_RAM_LAYOUT'],
    [
      'names that collide',
      { ramBlocks: ['a', 'a'].map((name) => ({ name, bytes: 8 * MIB })) },
      'E_HANDSHAKE_RAM_LAYOUT',
    ],
    [
      'thousands of blocks',
      { ramBlocks: Array.from({ length: 9000 }, (_, i) => ({ name: `${i}`, bytes: 4096 })) },
      'E_HANDSHAKE_RAM_LAYOUT',
    ],
  ])('refuses a description with %s', (_, change, code) => {
    expect(refusal({ ...good, ...change })?.code).toBe(code);
  });
});
