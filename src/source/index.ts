export type {
  Connect,
  MigrationObserver,
  MigrationOutcome,
  OutgoingOptions,
} from './outgoing-contract.ts';
export { OutgoingMigration } from './outgoing-migration.ts';
export {
  decidePrecopy,
  expectedDowntimeMs,
  type PrecopyDecision,
  type PrecopyLimits,
  type PrecopyRound,
} from './precopy/precopy-policy.ts';
