import type { MigrationSpec, ScenarioSize } from '../scenario.ts';

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

type Parameters = NonNullable<MigrationSpec['parameters']>;

/** A guest in one size, and what goes with that. */
export type SizedGuest = Pick<MigrationSpec, 'ram' | 'workload' | 'parameters' | 'client'>;

/** The small one for a smoke run, else the whole one, behind a link. */
export function sized(
  { smoke }: ScenarioSize,
  small: SizedGuest,
  whole: SizedGuest,
  linkBytesPerSecond = SLOW_LINK,
): MigrationSpec {
  return { ...(smoke ? small : whole), linkBytesPerSecond };
}

/** A variant for each name: the spec with the common parameters, and its own beside them. */
export function varied<Name extends string>(
  spec: MigrationSpec,
  common: Parameters,
  own: Readonly<Record<Name, Parameters>>,
): Readonly<Record<Name, MigrationSpec>> {
  const variants = Object.entries<Parameters>(own).map(([name, parameters]) => [
    name,
    { ...spec, parameters: { ...common, ...parameters } },
  ]);
  // The names are those of `own`.
  return Object.fromEntries(variants) as Record<Name, MigrationSpec>;
}

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
