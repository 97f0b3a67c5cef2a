import type { GuestSlot } from './guest-slot.ts';
import type { DumpedHalf } from './half-image/dump-half.ts';
import type { Migrations } from './migrations.ts';

/** What a command can do with the agent. */
export interface AgentControl {
  readonly name: string;
  readonly guests: GuestSlot;
  readonly migrations: Migrations;
  /** `stop`. */
  stopGuest(): Promise<void>;
  /** `cont`. `takeOwnership`: the operator says that the destination does not have the guest. */
  continueGuest(takeOwnership: boolean): Promise<void>;
  /** `x-dump-half`: the destination's half of a guest in post-copy, which then stands still. */
  dumpHalf(path: string): Promise<DumpedHalf>;
  /** Begins an orderly end; returns at once. */
  quit(): void;
}
