import { describe, expect, test } from 'vitest';
import {
  type Diagnosis,
  defaultCapabilities,
  defaultParameters,
  type MigrationInfo,
} from '../../../src/base/index.ts';
import { initialInfo } from '../../../src/control/migration/initial-info.ts';
import { refuseCapabilities, refuseParameters } from '../../../src/control/migration-conflicts.ts';
import { migrationReply } from '../../../src/control/qmp/query-migrate.ts';

const INFO: MigrationInfo = initialInfo({
  side: 'source',
  status: 'active',
  migrationId: 'm1',
  mode: 'precopy',
  epoch: 1,
  totalBytes: 2 ** 24,
});
const DIAGNOSIS: Diagnosis = {
  verdict: 'plateau',
  limitingFactor: 'working-set',
  workingSetBytes: 4096,
  dirtyBytesPerSecond: 1.6,
  effectiveBytesPerSecond: 2.4,
  requiredDowntimeMs: 12.34567,
  etaMs: undefined,
  advice: [{ action: 'postcopy-ram', predictedDowntimeMs: 3, predictedTotalMs: 4.5 }],
};

const reply = (change: Partial<MigrationInfo>) => migrationReply({ ...INFO, ...change }, undefined);

describe('query-migrate', () => {
  test('has cpu-throttle-percentage only while the guest is slowed, as in QEMU', () => {
    const slowed = reply({ throttle: { percent: 30, meanPercent: 12.345 } });
    expect(slowed['cpu-throttle-percentage']).toBe(30);
    expect(slowed['x-sterna']).toMatchObject({
      throttle: { percentage: 30, 'mean-percentage': 12.3 },
    });
    const lifted = reply({ throttle: { percent: 0, meanPercent: 12 } });
    expect(lifted).not.toHaveProperty('cpu-throttle-percentage');
    expect(reply({})['x-sterna']).not.toHaveProperty('throttle');
  });

  test('says who decides, and why it is not the one that was asked for', () => {
    const policy = {
      name: 'auto',
      fallbackReason: 'it threw',
      enabled: ['xbzrle'],
      lastDecision: { pass: 3, action: 'iterate', reason: undefined, because: 'so' },
    } as const;
    expect(reply({ policy })['x-sterna']).toMatchObject({
      policy: {
        name: 'auto',
        'fallback-reason': 'it threw',
        enabled: ['xbzrle'],
        decision: { pass: 3, action: 'iterate', because: 'so' },
      },
    });
    const plain = {
      name: 'clark',
      fallbackReason: undefined,
      enabled: [],
      lastDecision: undefined,
    };
    expect(reply({ policy: plain })['x-sterna']).toMatchObject({ policy: { name: 'clark' } });
  });

  test('has the diagnosis, and leaves out what is not known', () => {
    expect(
      (reply({ diagnosis: DIAGNOSIS })['x-sterna'] as { diagnosis: object }).diagnosis,
    ).toEqual({
      verdict: 'plateau',
      'limiting-factor': 'working-set',
      'working-set-bytes': 4096,
      'dirty-bytes-per-second': 2,
      'effective-bytes-per-second': 2,
      'required-downtime-ms': 12.346,
      advice: [{ action: 'postcopy-ram', 'predicted-downtime-ms': 3, 'predicted-total-ms': 4.5 }],
    });
  });
});

describe('conflicts', () => {
  test('dirty-limit and auto-converge do not go together', () => {
    const both = { ...defaultCapabilities(), 'dirty-limit': true, 'auto-converge': true };
    expect(() => refuseCapabilities(both)).toThrow('dirty-limit conflicts with auto-converge');
    expect(() => refuseCapabilities({ ...both, 'dirty-limit': false })).not.toThrow();
  });

  test('max-cpu-throttle is not below cpu-throttle-initial', () => {
    const parameters = { ...defaultParameters(), cpuThrottleInitialPercent: 50 };
    expect(() => refuseParameters({ ...parameters, maxCpuThrottlePercent: 49 })).toThrow(
      'from cpu-throttle-initial (50)',
    );
    expect(() => refuseParameters({ ...parameters, maxCpuThrottlePercent: 50 })).not.toThrow();
  });
});
