import { type Clock, SternaError } from '../base/index.ts';
import {
  ControlBlock,
  type GuestMemory,
  type Heartbeat,
  type Machine,
  type MachineDescription,
  type MachineState,
  type PauseReason,
  SharedPageFaults,
  type ThrottleReason,
  VcpuControl,
} from '../guestmem/index.ts';

/** What every kind of machine whose vCPUs are workers has: the rest is its kind's own. */
export interface SharedMachineParts {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  /** The shared block of a `ControlBlock`. */
  readonly control: SharedArrayBuffer;
  readonly clock: Clock;
}

/**
 * A machine as any thread of its agent sees it. Everything is in shared memory, so the migration
 * worker steers the guest without asking the main thread, which owns the vCPU workers
 * (vcpu-workers.ts).
 */
export abstract class SharedMachine implements Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  readonly control: VcpuControl;
  readonly faults: SharedPageFaults;
  protected readonly clock: Clock;

  protected constructor({ description, memory, control, clock }: SharedMachineParts) {
    this.description = description;
    this.memory = memory;
    this.clock = clock;
    const block = new ControlBlock(control);
    this.control = new VcpuControl(block, memory, clock);
    this.faults = new SharedPageFaults(block, memory, clock);
  }

  /** The state of vCPUs and devices, of a guest that stands still. */
  protected abstract takeState(): MachineState;
  /** Takes it over, all or nothing. Throws E_MACHINE_STATE. */
  protected abstract putState(state: MachineState): void;

  async save(): Promise<MachineState> {
    this.requireParked('saved');
    return this.takeState();
  }

  async load(state: MachineState): Promise<void> {
    this.requireParked('loaded');
    this.putState(state);
  }

  pause(reason: PauseReason): Promise<void> {
    return this.control.pause(reason);
  }

  resume(reason: PauseReason): void {
    this.control.resume(reason);
  }

  /** Why the guest stands still; empty while it runs. */
  pauseReasons(): readonly PauseReason[] {
    return this.control.reasons();
  }

  flipDirtyLogs(): Promise<void> {
    return this.control.flip();
  }

  setPostcopy(on: boolean): void {
    if (on) {
      this.requireParked('told that pages are missing');
      this.faults.reset();
    }
    this.control.setPostcopy(on);
  }

  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    this.control.throttle(reason, percent, vcpu);
  }

  busyMs(): readonly number[] {
    return this.control.busyMs();
  }

  heartbeats(): readonly Heartbeat[] {
    return this.control.heartbeats();
  }

  resetHeartbeats(): void {
    this.control.resetHeartbeats();
  }

  /** Time that the guest has run, in milliseconds, across migrations. */
  guestTimeMs(): number {
    return this.control.guestClock.nowMs();
  }

  /** Throws E_STATE where a running guest would be looked at. */
  protected requireParked(what: string): void {
    if (this.control.standsStill()) return;
    throw new SternaError('E_STATE', `A running guest cannot be ${what}: pause it first`);
  }
}
