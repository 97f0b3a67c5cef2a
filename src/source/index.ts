export type {
  Connect,
  MigrationObserver,
  MigrationOutcome,
  OutgoingOptions,
} from './outgoing-contract.ts';
export { OutgoingMigration } from './outgoing-migration.ts';
export type {
  EndDecision,
  HybridRules,
  IterateDecision,
  Policy,
  PolicyBegin,
  PolicyDecision,
  PolicyLimits,
  PolicyPass,
  PolicyPermissions,
  PolicyRound,
  PolicyStart,
  ThrottleLimits,
} from './policy/policy.ts';
export type { PromisedPages } from './postcopy/promised-pages.ts';
export type { SourceHalf, Spill } from './postcopy/spill/spill.ts';
export { TakenUpMigration, type TakenUpOptions } from './postcopy/spill/taken-up-migration.ts';
export {
  decidePrecopy,
  expectedDowntimeMs,
  type PrecopyDecision,
  type PrecopyLimits,
  type PrecopyRound,
} from './precopy/precopy-policy.ts';
