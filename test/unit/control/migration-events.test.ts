import { describe, expect, it } from 'vitest';
import type { MigrationInfo, MigrationStatus } from '../../../src/base/index.ts';
import { initialInfo } from '../../../src/control/migration/initial-info.ts';
import { MigrationEvents } from '../../../src/control/migration-events.ts';

function infoOf(
  status: MigrationStatus,
  dirtySyncCount = 0,
  side: MigrationInfo['side'] = 'source',
): MigrationInfo {
  const info = initialInfo({
    side,
    status,
    migrationId: 'm',
    mode: 'precopy',
    epoch: 1,
    totalBytes: 0,
  });
  return { ...info, ram: { ...info.ram, dirtySyncCount } };
}

function recorder(isWanted = true) {
  const seen: unknown[] = [];
  const events = new MigrationEvents(
    (event, data) => seen.push([event, data]),
    () => isWanted,
  );
  return { events, seen };
}

describe('MigrationEvents', () => {
  it('update() emits an event for each change of status, and only then', () => {
    const { events, seen } = recorder();
    for (const status of [
      'setup',
      'setup',
      'active',
      'active',
      'completed',
      'completed',
    ] as const) {
      events.update(infoOf(status));
    }
    expect(seen).toEqual([
      ['MIGRATION', { status: 'setup' }],
      ['MIGRATION', { status: 'active' }],
      ['MIGRATION', { status: 'completed' }],
    ]);
  });

  it('update() emits every pass when several ended between two infos, and begins anew with each migration', () => {
    const { events, seen } = recorder();
    events.update(infoOf('setup'));
    events.update(infoOf('active', 1));
    events.update(infoOf('active', 3));
    events.update(infoOf('failed', 3));
    events.update(infoOf('setup'));
    events.update(infoOf('active', 1));
    const passes = seen.filter((entry) => JSON.stringify(entry).includes('MIGRATION_PASS'));
    expect(passes).toEqual([1, 2, 3, 1].map((pass) => ['MIGRATION_PASS', { pass }]));
  });

  it('update() emits no pass at a destination', () => {
    const { events, seen } = recorder();
    events.update(infoOf('active', 2, 'destination'));
    expect(seen).toEqual([['MIGRATION', { status: 'active' }]]);
  });

  it('update() emits nothing when the capability is off', () => {
    const { events, seen } = recorder(false);
    events.update(infoOf('setup'));
    events.update(infoOf('active', 2));
    expect(seen).toEqual([]);
  });
});
