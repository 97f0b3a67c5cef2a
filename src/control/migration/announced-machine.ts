import type {
  GuestMemory,
  Heartbeat,
  Machine,
  MachineDescription,
  MachineState,
  PageFaults,
  PauseReason,
  ThrottleReason,
} from '../../guestmem/index.ts';

export interface PauseListener {
  paused(): void;
  resumed(reason: PauseReason): void;
}

/**
 * A machine that tells when an engine pauses or resumes it: the main thread owes its clients STOP
 * and RESUME. Of a checkpoint they hear nothing: there is one several times a second.
 */
export class AnnouncedMachine implements Machine {
  readonly description: MachineDescription;
  readonly memory: GuestMemory;
  readonly faults: PageFaults;
  private readonly machine: Machine;
  private readonly listener: PauseListener;
  /** A pause that nobody has heard of yet. */
  private untold: NodeJS.Immediate | undefined;

  constructor(machine: Machine, listener: PauseListener) {
    this.description = machine.description;
    this.memory = machine.memory;
    this.faults = machine.faults;
    this.machine = machine;
    this.listener = listener;
  }

  async pause(reason: PauseReason): Promise<void> {
    await this.machine.pause(reason);
    if (reason === 'checkpoint') return;
    // Not before what waits for the pause goes on: the guest waits for that.
    this.untold ??= setImmediate(() => this.tellPaused());
  }

  resume(reason: PauseReason): void {
    // The guest first. But then at once: what an engine says next, that the guest is here, must not
    // be heard before it.
    this.machine.resume(reason);
    if (reason === 'checkpoint') return;
    if (this.untold !== undefined) this.tellPaused();
    this.listener.resumed(reason);
  }

  pauseReasons(): readonly PauseReason[] {
    return this.machine.pauseReasons();
  }

  flipDirtyLogs(): Promise<void> {
    return this.machine.flipDirtyLogs();
  }

  save(): Promise<MachineState> {
    return this.machine.save();
  }

  load(state: MachineState): Promise<void> {
    return this.machine.load(state);
  }

  setPostcopy(on: boolean): void {
    this.machine.setPostcopy(on);
  }

  throttle(reason: ThrottleReason, percent: number, vcpu?: number): void {
    this.machine.throttle(reason, percent, vcpu);
  }

  busyMs(): readonly number[] {
    return this.machine.busyMs();
  }

  heartbeats(): readonly Heartbeat[] {
    return this.machine.heartbeats();
  }

  resetHeartbeats(): void {
    this.machine.resetHeartbeats();
  }

  private tellPaused(): void {
    clearImmediate(this.untold);
    this.untold = undefined;
    this.listener.paused();
  }
}
