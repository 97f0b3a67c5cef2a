import type { PageFaults } from './faults/page-faults.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { ThrottleReason } from './throttle-slice.ts';

/**
 * All that the engines know of a guest. The synthetic workloads are one kind of machine, the RISC-V
 * board another; a new kind implements this and nothing in `source` or `destination` moves.
 */
export interface Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  /** What vCPUs wait for during post-copy. */
  readonly faults: PageFaults;
  /**
   * Adds a reason to stand still; resolves when every vCPU is parked at a safepoint, also when some
   * wait for pages that never come. Rejects with E_WORKER_DIED.
   */
  pause(reason: PauseReason): Promise<void>;
  /** Takes a reason away. The vCPUs run again when no reason is left. */
  resume(reason: PauseReason): void;
  /** Why the guest stands still; empty while it runs. */
  pauseReasons(): readonly PauseReason[];
  /**
   * Switches every vCPU to its other dirty map and resolves when the retired maps are at rest.
   * After that `memory.mergeRetiredLogs()` sees every store made before the call, and no store made
   * after it is lost.
   */
  flipDirtyLogs(): Promise<void>;
  /** The state of vCPUs and devices. Only while paused. */
  save(): Promise<MachineState>;
  /**
   * Takes the state over. Only while paused. Throws E_MACHINE_STATE and then nothing was changed.
   */
  load(state: MachineState): Promise<void>;
  /**
   * From now on an access to a page without a received mark blocks its vCPU until the page is
   * there. On: only while paused; `faults` counts anew. Off: when all pages have come, at any time.
   */
  setPostcopy(on: boolean): void;
  /**
   * Share of its time, 0 to 99 percent, that each vCPU (or the one) is made to sleep for that
   * reason, a few milliseconds at a time; of two reasons the higher share holds. Not part of the
   * state.
   */
  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void;
  /**
   * Milliseconds for which each vCPU has run guest code on this host: neither waits of the guest
   * nor a throttle's sleeps nor waits for pages are in it. Not part of the state.
   */
  busyMs(): readonly number[];
  /** When each vCPU last and first stepped, for the guest-observed downtime. */
  heartbeats(): readonly Heartbeat[];
  /** Starts a new observation window of the heartbeats (see {@link Heartbeat}). */
  resetHeartbeats(): void;
}

/**
 * Reasons add up, so that an operator's `stop` survives a migration and the other way round.
 * `ownership`: the guest was given away, or has not arrived yet. `checkpoint`: for the milliseconds
 * in which a consistent point of a running guest is copied, or written over one that stands still,
 * which is of no one moment until that is over; nobody is told of it.
 */
export type PauseReason = 'operator' | 'migration' | 'ownership' | 'checkpoint';

/** Everything needed to build an equal, empty machine. Crosses the wire in HELLO as MessagePack. */
export interface MachineDescription {
  /** Kind of machine, for example `workload`. */
  readonly type: string;
  /** Version of its state format; a destination refuses a newer one. */
  readonly version: number;
  readonly name: string;
  readonly uuid: string;
  readonly vcpuCount: number;
  readonly ramBlocks: readonly RamBlockDescription[];
  /** What this kind of machine needs more (the workload's SPEC and seed). */
  readonly config: Readonly<Record<string, string | number | boolean>>;
}

export interface RamBlockDescription {
  readonly name: string;
  /** A multiple of the page size. */
  readonly bytes: number;
}

/** Opaque to the engines: sections that the machine names and versions itself. */
export interface MachineState {
  readonly sections: readonly MachineStateSection[];
}

export interface MachineStateSection {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

/**
 * Times in milliseconds of the host's monotonic clock (`Clock.nowMs`); NaN when there was no step.
 */
export interface Heartbeat {
  readonly vcpu: number;
  /** First step since `resetHeartbeats()`. */
  readonly firstStepMs: number;
  readonly lastStepMs: number;
  /** Longest gap between two steps since `resetHeartbeats()`. */
  readonly longestGapMs: number;
}

/**
 * Builds machines on the destination; asked after HELLO was checked, so that limits come before
 * allocation.
 */
export interface MachineFactory {
  /** Why this machine cannot be built here, or undefined. Allocates nothing. */
  refusal(description: MachineDescription): MachineRefusal | undefined;
  /**
   * A machine with zeroed RAM, paused for the reason `ownership`. Rejects with E_NO_MEMORY or
   * E_WORKER_DIED.
   */
  create(description: MachineDescription): Promise<Machine>;
  /** Frees what `create` made: a migration that failed must leave the destination clean. */
  destroy(machine: Machine): Promise<void>;
}

export interface MachineRefusal {
  readonly code: 'E_HANDSHAKE_MACHINE' | 'E_HANDSHAKE_RAM_LAYOUT' | 'E_BUSY';
  readonly message: string;
}
