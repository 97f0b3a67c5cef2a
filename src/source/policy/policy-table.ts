import type { CapabilityName, MigrationCapabilities } from '../../base/index.ts';
import { autoPolicy } from './auto.ts';
import { clarkPolicy } from './clark.ts';
import type { Policy } from './policy.ts';
import { qemuPolicy } from './qemu.ts';
import { svardPolicy } from './svard.ts';

const POLICIES: readonly Policy[] = [autoPolicy, clarkPolicy, qemuPolicy, svardPolicy];

/** The policy of that name; undefined for the path of a user's own. */
export function builtInPolicy(name: string): Policy | undefined {
  return POLICIES.find((policy) => policy.name === name);
}

/** What is switched on because the policy of that name is nothing without it. */
export function missingNeeds(
  name: string,
  capabilities: MigrationCapabilities,
): readonly CapabilityName[] {
  return (builtInPolicy(name)?.needs ?? []).filter((need) => !capabilities[need]);
}
