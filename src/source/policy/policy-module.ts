import type { PolicyRound, PolicyStart } from './policy.ts';

/**
 * A policy that a user wrote, asked in a thread of its own: whoever hosts the engine brings it.
 * What it answers is not trusted, and how long it takes is measured by who asks.
 */
export interface PolicyModule {
  /** Resolves with whatever the module returned. Rejects when it cannot be loaded, or throws. */
  begin(start: PolicyStart): Promise<unknown>;
  decide(round: PolicyRound): Promise<unknown>;
  /** Ends its thread; what was asked is never answered. Harmless a second time. */
  close(): void;
}
