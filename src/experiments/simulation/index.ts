export {
  type FaultPlan,
  FRAME_FAULTS,
  type FrameBreak,
  type FrameFault,
  LINK_DIRECTIONS,
  type LinkDirection,
  type Side,
} from './fault-plan.ts';
export { type HistoryOptions, type HistoryResult, runHistory } from './history.ts';
export { type HistoryPlan, planHistory } from './history-plan.ts';
export type { AttemptResult } from './migration-attempt.ts';
export { OPERATORS, type OperatorKind } from './operator.ts';
export type { SimulatedHost } from './simulated-host.ts';
export type { SimulationParts } from './world.ts';
