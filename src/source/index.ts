export { type CodecDecision, type CodecMeasurements, chooseCodec } from './codec/choose-codec.ts';
export type { CodecHelpers, TimedResult } from './codec/codec-helpers.ts';
export { DirtyLimiter } from './dirty-limit/dirty-limiter.ts';
export { Interrupt } from './interrupt.ts';
export type {
  Connect,
  MigrationObserver,
  MigrationOutcome,
  OutgoingOptions,
} from './outgoing-contract.ts';
export { guestEnded, OutgoingMigration } from './outgoing-migration.ts';
export { checkBegin, checkDecision } from './policy/check-decision.ts';
export { ChosenPolicy, type ChosenPolicyOptions } from './policy/chosen-policy.ts';
export { diagnose } from './policy/diagnosis.ts';
export { drainingPays, expectedDowntimeMs } from './policy/expected-downtime.ts';
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
export type { PolicyModule } from './policy/policy-module.ts';
export { builtInPolicy } from './policy/policy-table.ts';
export { guestSpeed, outrunsLink } from './policy/throttle.ts';
export { byTimeout, withinDeadline } from './policy/user-rules.ts';
export { type Claim, claimGuest } from './postcopy/claim.ts';
export type { PromisedPages } from './postcopy/promised-pages.ts';
export type { SourceHalf, Spill } from './postcopy/spill/spill.ts';
export { TakenUpMigration, type TakenUpOptions } from './postcopy/spill/taken-up-migration.ts';
export { type LinkMeasurement, type LinkProbeOptions, measureLink } from './probe/link-probe.ts';
