import type { Clock } from '../../base/index.ts';
import {
  GuestMemory,
  type Heartbeat,
  LocalPageFaults,
  type Machine,
  type MachineDescription,
  type MachineState,
  type PauseReason,
} from '../../guestmem/index.ts';

/** A guest that only consists of what it was: RAM and a state, and no vCPU that could step. */
export class StillMachine implements Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  readonly faults: LocalPageFaults;
  private readonly state: MachineState;
  private readonly reasons = new Set<PauseReason>();

  /** RAM of zeros. Throws E_NO_MEMORY. */
  constructor(description: MachineDescription, state: MachineState, clock: Clock) {
    this.description = description;
    this.state = state;
    this.memory = GuestMemory.allocate(description.ramBlocks, description.vcpuCount);
    this.faults = new LocalPageFaults(this.memory, clock);
  }

  async pause(reason: PauseReason): Promise<void> {
    this.reasons.add(reason);
  }

  resume(reason: PauseReason): void {
    this.reasons.delete(reason);
  }

  pauseReasons(): readonly PauseReason[] {
    return [...this.reasons];
  }

  async flipDirtyLogs(): Promise<void> {
    for (let log = 0; log < this.memory.logCount; log += 1) this.memory.flipLog(log);
  }

  async save(): Promise<MachineState> {
    return this.state;
  }

  /** Nobody loads anything into it. */
  async load(): Promise<void> {
    await Promise.resolve();
  }

  setPostcopy(): void {
    // No access ever looks for a page.
  }

  throttle(): void {
    // Nothing runs that could be slowed.
  }

  busyMs(): readonly number[] {
    return new Array<number>(this.description.vcpuCount).fill(0);
  }

  heartbeats(): readonly Heartbeat[] {
    return Array.from({ length: this.description.vcpuCount }, (_, vcpu) => ({
      vcpu,
      firstStepMs: Number.NaN,
      lastStepMs: Number.NaN,
      longestGapMs: 0,
    }));
  }

  resetHeartbeats(): void {
    // There are no steps to observe.
  }
}
