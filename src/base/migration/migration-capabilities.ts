/**
 * Capabilities that this version has, with QEMU's names; all default to off but `x-` ones that say
 * otherwise.
 */
export const MIGRATION_CAPABILITIES: Readonly<
  Record<string, { readonly default: boolean; readonly fixed?: true }>
> = {
  xbzrle: { default: false },
  // Slows the guest down when it dirties faster than pages leave.
  'auto-converge': { default: false },
  // The same, but only the vCPUs that dirty more than `vcpu-dirty-limit`.
  'dirty-limit': { default: false },
  events: { default: false },
  'validate-uuid': { default: false },
  // The destination always answers on the same socket; kept for clients that ask.
  'return-path': { default: true, fixed: true },
  'postcopy-ram': { default: false },
  // A second connection for the pages that a vCPU waits for.
  'postcopy-preempt': { default: false },
  // Several connections for pages before the switch. With xbzrle too, which QEMU refuses.
  multifd: { default: false },
  // The destination sends back what its guest changes while pages are missing.
  'x-postcopy-journal': { default: false },
  // What the guest waited for is always measured.
  'postcopy-blocktime': { default: true, fixed: true },
};

export type CapabilityName =
  | 'xbzrle'
  | 'auto-converge'
  | 'dirty-limit'
  | 'events'
  | 'validate-uuid'
  | 'return-path'
  | 'postcopy-ram'
  | 'postcopy-preempt'
  | 'multifd'
  | 'x-postcopy-journal'
  | 'postcopy-blocktime';
export type MigrationCapabilities = Readonly<Record<CapabilityName, boolean>>;

export function defaultCapabilities(): MigrationCapabilities {
  const entries = Object.entries(MIGRATION_CAPABILITIES).map(([name, { default: value }]) => [
    name,
    value,
  ]);
  // The keys of the table are exactly CapabilityName; test/unit/base checks it.
  return Object.fromEntries(entries) as MigrationCapabilities;
}
