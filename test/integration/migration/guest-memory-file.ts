import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { PAGE_BYTES } from '../../../src/base/index.ts';
import type { Site } from './site.ts';

/**
 * All RAM of a guest, by QEMU's own command: no engine, no hash and no kernel of ours has a part in
 * it.
 */
export async function savedMemory(site: Site, path: string, ramBytes: number): Promise<Buffer> {
  await site.qmp.execute('pmemsave', { val: 0, size: ramBytes, filename: path });
  const memory = readFileSync(path);
  expect(memory).toHaveLength(ramBytes);
  return memory;
}

/** Fails with the first page that differs. */
export function expectEqualMemory(there: Buffer, here: Buffer): void {
  if (there.equals(here)) return;
  const differs = (pfn: number) => {
    const at = pfn * PAGE_BYTES;
    return here.compare(there, at, at + PAGE_BYTES, at, at + PAGE_BYTES) !== 0;
  };
  const pages = Array.from({ length: here.length / PAGE_BYTES }, (_, pfn) => pfn).filter(differs);
  expect(pages, 'pages that differ').toEqual([]);
}

/**
 * QEMU's check of its test guest: along each vCPU's share of the pages, byte 0 drops at most once,
 * and by exactly one, where the sweep was interrupted.
 */
export function expectAbSweep(memory: Buffer, vcpuCount: number): void {
  const firstPfn = 2 ** 20 / PAGE_BYTES;
  const pages = memory.length / PAGE_BYTES - firstPfn;
  for (let vcpu = 0; vcpu < vcpuCount; vcpu += 1) {
    const from = firstPfn + Math.floor((pages * vcpu) / vcpuCount);
    const to = firstPfn + Math.floor((pages * (vcpu + 1)) / vcpuCount);
    const changes: string[] = [];
    for (let pfn = from + 1; pfn < to; pfn += 1) {
      const before = memory[(pfn - 1) * PAGE_BYTES] ?? 0;
      const now = memory[pfn * PAGE_BYTES] ?? 0;
      if (before !== now) changes.push(`page ${pfn}: ${(now - before) & 0xff}`);
    }
    expect(changes.length, `vCPU ${vcpu}: ${changes.join(', ')}`).toBeLessThanOrEqual(1);
    for (const change of changes) expect(change).toMatch(/: 255$/);
  }
}

/**
 * A pass cannot end well: the guest dirties more than that, and no pause is short enough (as QEMU's
 * tests do it).
 */
export const NEVER_CONVERGES = { 'max-bandwidth': 48 * 2 ** 20, 'downtime-limit': 1 };
/** And now it will. */
export const CONVERGES = { 'max-bandwidth': 0, 'downtime-limit': 30_000 };

/**
 * Lets passes go by that cannot be the last ones, then lets the migration end. Nothing here is a
 * race.
 */
export async function throughPasses(site: Site, uri: string, passes: number): Promise<void> {
  await site.set(NEVER_CONVERGES);
  await site.migrate(uri);
  await site.migration(`${passes} passes`, ({ status, ram }) => {
    expect(status).not.toBe('failed');
    return (ram?.['dirty-sync-count'] ?? 0) > passes;
  });
  await site.set(CONVERGES);
}
