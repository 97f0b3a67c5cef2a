export { type HistoryOptions, type HistoryResult, runHistory } from './history.ts';
export {
  type FaultPlan,
  FRAME_FAULTS,
  type FrameFault,
  type HistoryPlan,
  LINK_DIRECTIONS,
  type LinkDirection,
  planHistory,
} from './history-plan.ts';
export type { AttemptResult } from './migration-attempt.ts';
export type { SimulatedHost } from './simulated-host.ts';
export type { SimulationParts } from './world.ts';
