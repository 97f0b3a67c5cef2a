import type { Scenario } from '../scenario.ts';
import { blackout } from './blackout.ts';
import { cacheSweep } from './cache.ts';
import { zeroAware } from './codec.ts';
import { loadGenerator, memoryWriteDelta, regions } from './delta.ts';
import { linux } from './linux.ts';
import { approaches, flatDowntime, prePaging } from './modes.ts';
import { ablationOfBoth, skewedReorderDelta, streamingReorderDelta } from './order.ts';
import { parallelSenders } from './parallel.ts';
import { policies } from './policies.ts';
import { interactive, rateAdaptive, sessions, streaming } from './services.ts';
import { deadline, smartStop } from './stopping.ts';

/** In the order of their numbers. */
export const SCENARIOS: readonly Scenario[] = [
  memoryWriteDelta,
  regions,
  streaming,
  sessions,
  loadGenerator,
  skewedReorderDelta,
  streamingReorderDelta,
  ablationOfBoth,
  approaches,
  flatDowntime,
  prePaging,
  interactive,
  rateAdaptive,
  smartStop,
  zeroAware,
  parallelSenders,
  blackout,
  cacheSweep,
  deadline,
  policies,
  linux,
];
