import type { MigrationSpec } from '../scenario.ts';

const MIB = 2 ** 20;

/** Of 100 Mbit/s, bytes per second. */
export const SLOW_LINK = 12_500_000;

/**
 * Plain pre-copy with QEMU's rule and the downtime that it wants. Where that is never reached, the
 * guest is paused after a time: what is left then is the downtime.
 */
export const VANILLA = {
  'x-policy': 'qemu',
  'x-reorder': 'off',
  'x-timeout-action': 'suspend',
  'downtime-limit': 30,
};

/** SPEC's own parameters stay. */
export function vanilla(spec: MigrationSpec): MigrationSpec {
  return { ...spec, parameters: { ...VANILLA, ...spec.parameters } };
}

/** The same with delta compression, and the rule that knows of it. */
export function withDelta(spec: MigrationSpec, cacheMib = 64): MigrationSpec {
  const delta = { 'x-policy': 'svard', 'xbzrle-cache-size': cacheMib * MIB };
  return {
    ...spec,
    parameters: { ...VANILLA, ...delta, ...spec.parameters },
    capabilities: ['xbzrle'],
  };
}
