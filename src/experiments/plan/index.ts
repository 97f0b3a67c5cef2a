export { decodeTrace } from '../../guestmem/index.ts';
export {
  defaultPlanParameters,
  type GuestFigures,
  makePlan,
  type Plan,
  type PlanOptions,
  type PlanRow,
  type Range,
  type Recommendation,
} from './make-plan.ts';
export { planParametersOf } from './plan-parameters.ts';
export type { Codec, PlanLink, PlanParameters, Slowing } from './plan-setup.ts';
export { type ActualMigration, type PlanScore, type ScoredFigure, scorePlan } from './score.ts';
