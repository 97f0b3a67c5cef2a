import type { DirtyLimits } from './dirty-limit/dirty-limits.ts';
import type { GuestSlot } from './guest-slot.ts';
import type { DumpedHalf } from './half-image/dump-half.ts';
import type { Migrations } from './migrations.ts';
import type { Observations } from './observation/observations.ts';
import type { TakenGuest } from './taken-guest.ts';

/** What a command can do with the agent. */
export interface AgentControl {
  readonly name: string;
  readonly guests: GuestSlot;
  readonly migrations: Migrations;
  readonly dirtyLimits: DirtyLimits;
  readonly observations: Observations;
  /** `stop`. */
  stopGuest(): Promise<void>;
  /**
   * `cont`. `takeOwnership`: the operator says that the destination does not have the guest.
   * Resolves with what it goes on from when it was taken back.
   */
  continueGuest(takeOwnership: boolean): Promise<TakenGuest | undefined>;
  /** `x-dump-half`: the destination's half of a guest in post-copy, which then stands still. */
  dumpHalf(path: string): Promise<DumpedHalf>;
  /** Begins an orderly end; returns at once. */
  quit(): void;
}
