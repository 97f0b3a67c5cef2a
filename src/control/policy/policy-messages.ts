import type { PolicyRound, PolicyStart } from '../../source/index.ts';

/** What the thread of a policy is born with (`workerData`). */
export interface PolicyWorkerData {
  /** Absolute path of an ES module. */
  readonly path: string;
}

/** Both answered by a {@link PolicyAnswer} with the same `id`. */
export type PolicyQuestion =
  | { readonly id: number; readonly type: 'begin'; readonly start: PolicyStart }
  | { readonly id: number; readonly type: 'decide'; readonly round: PolicyRound };

export type PolicyAnswer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };
