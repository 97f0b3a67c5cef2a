export { guestDowntime } from './guest-downtime.ts';
export type {
  IncomingOptions,
  IncomingOutcome,
  Joining,
  JoinTarget,
  Probing,
  RunningProbe,
} from './incoming-contract.ts';
export { IncomingMigration } from './incoming-migration.ts';
export { type AskedSide, answerByRecord } from './ownership/ownership-answer.ts';
