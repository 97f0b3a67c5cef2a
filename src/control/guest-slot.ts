import { type Logger, SternaError } from '../base/index.ts';
import type { RiscvMachine } from '../guest/index.ts';
import type { MachineDescription, MemoryReserve, PauseReason } from '../guestmem/index.ts';
import type { DriveLocks } from './machine/drive-locks.ts';
import type { HostDevices } from './machine/host-devices.ts';
import {
  createMachine,
  type DescribedGuest,
  isBoard,
  type LocalMachine,
  lockDrives,
  type MachineHandles,
} from './machine/local-machine.ts';

/** QEMU's run states that a guest can have here (`query-status`). */
export type RunState =
  | 'running'
  | 'paused'
  | 'inmigrate'
  | 'finish-migrate'
  | 'postmigrate'
  | 'shutdown'
  | 'internal-error';

/**
 * Where the guest is, seen from here. `gone`: granted away; its RAM stays until the next guest
 * comes, because the destination's is compared with it. `unknown`: it may have been granted, or is
 * not whole where it went; its RAM stays, so that an operator can take it back. `half`: only pages
 * that another side lacks are here, and they never run.
 */
type Place = 'none' | 'arriving' | 'here' | 'gone' | 'unknown' | 'half';

export interface SlotEvents {
  /** STOP and RESUME. */
  emit(event: 'STOP' | 'RESUME'): void;
  /** Which guest lives here now; it runs, or may run again. */
  resides(machine: LocalMachine | undefined): void;
  /** The guest ended itself: it runs no more. */
  ended(end: GuestEnd): void;
}

/** `reset`: it asked to begin anew. */
export type GuestEnd = NonNullable<RiscvMachine['event']>;

export interface SlotOptions {
  /** Of the agent. */
  readonly name: string;
  readonly startPaused: boolean;
  /** Memory for the first guest that comes. */
  readonly reserve: MemoryReserve | undefined;
  readonly devices: HostDevices;
}

/** The one guest of an agent: from where it was built or came in, until it was given away. */
export class GuestSlot {
  private readonly events: SlotEvents;
  private readonly log: Logger;
  private machine: LocalMachine | undefined;
  private resident: LocalMachine | undefined;
  private place: Place = 'none';
  private death: SternaError | undefined;
  /** Its end was told. */
  private saidEnded = false;
  /** What clients were told last. */
  private saidRunning = false;
  private startPaused: boolean;
  /** It must not run on while somebody reads it. */
  private readers = 0;
  /** For the first guest that comes. */
  private readonly reserve: MemoryReserve | undefined;
  private readonly devices: HostDevices;
  private readonly name: string;
  /** From before the guest is here until it is another side's for certain. */
  private locks: DriveLocks | undefined;

  constructor(events: SlotEvents, log: Logger, options: SlotOptions) {
    const { name, startPaused, reserve, devices } = options;
    this.name = name;
    this.reserve = reserve;
    this.devices = devices;
    this.events = events;
    this.log = log;
    this.startPaused = startPaused;
  }

  get isRunning(): boolean {
    const mayRun = this.place === 'here' && this.death === undefined;
    // Of a checkpoint nobody is told.
    return mayRun && this.reasons.every((reason) => reason === 'checkpoint');
  }

  get runState(): RunState {
    if (this.death !== undefined) return 'internal-error';
    if (this.place === 'none' || this.place === 'arriving') return 'inmigrate';
    if (this.isAway) return 'postmigrate';
    if (this.isHeld) return 'finish-migrate';
    if (this.hasEnded) return 'shutdown';
    return this.reasons.includes('operator') ? 'paused' : 'running';
  }

  /** A guest lives here, and its place is not in question. */
  get isOwned(): boolean {
    return this.place === 'here' && !this.reasons.includes('ownership');
  }

  /** It was given away, or may have been. */
  get isAway(): boolean {
    return this.place === 'gone' || this.place === 'unknown' || this.isHalf;
  }

  /** Not even an operator's word lets it run. */
  get isHalf(): boolean {
    return this.place === 'half';
  }

  /** The RAM is of two moments: a point of the journal was not taken over as a whole. */
  get isTorn(): boolean {
    return this.isAway && this.reasons.includes('checkpoint');
  }

  /** Another guest may come: there is none, and none whose owner is in question. */
  get isVacant(): boolean {
    return this.place === 'none' || this.place === 'gone';
  }

  get isArriving(): boolean {
    return this.place === 'arriving';
  }

  get uuid(): string | undefined {
    return this.machine?.description.uuid;
  }

  /** The guest that lives here, if one does. */
  get residentUuid(): string | undefined {
    return this.place === 'here' ? this.uuid : undefined;
  }

  /** Pages of the guest that have not come. */
  get missingPages(): number {
    const blocks = this.machine?.memory.blocks ?? [];
    return blocks.reduce((pages, block) => pages + block.missingPages(), 0);
  }

  get startsPaused(): boolean {
    return this.startPaused;
  }

  /** The guest's machine. Throws E_STATE when there is none. */
  need(): LocalMachine {
    if (this.machine === undefined) throw new SternaError('E_STATE', 'There is no guest here');
    return this.machine;
  }

  /** What the guest is, or undefined when there is none. */
  get current(): LocalMachine | undefined {
    return this.machine;
  }

  /** A guest of our own. Runs at once unless it was asked not to. */
  async build({ description, furnish }: DescribedGuest): Promise<void> {
    const machine = await this.create(description, false);
    furnish?.(machine);
    if (this.startPaused) await machine.pause('operator');
    machine.resume('ownership');
    this.settle(machine, 'here');
  }

  /** An empty machine for pages that another side lacks. */
  async buildHalf(description: MachineDescription): Promise<LocalMachine> {
    const machine = await createMachine(description, this.devices);
    this.settle(machine, 'half');
    return machine;
  }

  /** An empty machine for the guest that comes. It stands still until it is granted. */
  async receive(description: MachineDescription): Promise<MachineHandles> {
    // The RAM of a guest that was given away makes room first.
    await this.clear();
    const machine = await this.create(description, true);
    if (this.startPaused) await machine.pause('operator');
    this.settle(machine, 'arriving');
    return machine.handles();
  }

  /** What has come so far of a guest that runs elsewhere is thrown away. */
  async discard(): Promise<void> {
    const isTakenBack = this.place === 'here' && !this.isOwned;
    if (this.place === 'arriving' || isTakenBack) await this.clear();
  }

  /** It was here, and can never go on: pages of it will not come. */
  async lose(): Promise<void> {
    await this.clear();
  }

  /** By an operator's word it runs elsewhere: it stands still here from its next safepoint on. */
  async yield(): Promise<void> {
    const { machine } = this;
    if (machine === undefined) return;
    // A vCPU that dies on the way is told of by its own event.
    await machine.pause('ownership').catch(() => {});
    this.changed();
  }

  /** An engine has paused it; by now it may have let it go on again, which it tells too. */
  notePaused(): void {
    this.changed(false);
  }

  /** An engine has resumed it. Without the reason `ownership` it is ours. */
  noteResumed(reason: PauseReason): void {
    if (reason === 'ownership' && this.place === 'arriving') this.place = 'here';
    this.changed();
    this.tellEnd();
  }

  /** It does not run here any more. `certain`: it is whole elsewhere, without the RAM here. */
  leave(certain: boolean): void {
    const wasHere = this.place === 'here' || this.place === 'unknown';
    if (!wasHere && !(this.place === 'half' && certain)) return;
    this.place = certain ? 'gone' : 'unknown';
    this.saidEnded = false;
    if (certain) this.unlock();
    this.changed();
  }

  /** An engine has it go on here: a destination that may have had it has not. */
  stay(): void {
    if (this.place !== 'unknown') return;
    this.place = 'here';
    this.changed();
    this.tellEnd();
  }

  /** It did not leave after all: an operator says so. */
  comeBack(): void {
    this.place = 'here';
    for (const reason of ['migration', 'ownership', 'operator'] as const) {
      this.need().resume(reason);
    }
    this.changed();
    this.tellEnd();
  }

  /** `stop`. Where no guest is yet, it will not be started. */
  async stop(): Promise<void> {
    if (this.place === 'none') this.startPaused = true;
    if (this.machine === undefined || this.isAway || this.death !== undefined) return;
    await this.machine.pause('operator');
    this.changed();
  }

  /** Stops it as an operator does, and keeps it so until `work` is through with it. */
  async whileStopped<T>(work: (machine: LocalMachine) => Promise<T>): Promise<T> {
    const machine = this.need();
    this.readers += 1;
    try {
      await this.stop();
      return await work(machine);
    } finally {
      this.readers -= 1;
    }
  }

  /** `cont` for a guest that is here or comes. Throws E_STATE. */
  continue(): void {
    if (this.death !== undefined) throw this.death;
    if (this.readers > 0) throw new SternaError('E_STATE', 'The guest is being written to a file');
    if (this.place === 'none') this.startPaused = false;
    if (this.place === 'here' && this.isHeld) {
      throw new SternaError('E_STATE', 'Migration is not finalized yet');
    }
    this.machine?.resume('operator');
    this.changed();
  }

  async close(): Promise<void> {
    await this.clear();
  }

  private async create(
    description: MachineDescription,
    isArriving: boolean,
  ): Promise<LocalMachine> {
    const { name: agent, devices, log } = this;
    this.locks = lockDrives(description, devices, { agent, isArriving }, log);
    try {
      return await createMachine(description, devices, isArriving ? this.reserve : undefined);
    } catch (thrown) {
      this.unlock();
      throw thrown;
    }
  }

  private unlock(): void {
    this.locks?.release();
    this.locks = undefined;
  }

  /** In the memory that every thread shares: what messages tell of it may be on their way. */
  private get reasons(): readonly PauseReason[] {
    return this.machine?.pauseReasons() ?? [];
  }

  private get hasEnded(): boolean {
    return this.machine !== undefined && isBoard(this.machine) && this.machine.event !== undefined;
  }

  /** By an engine. */
  private get isHeld(): boolean {
    return this.reasons.includes('ownership') || this.reasons.includes('migration');
  }

  private settle(machine: LocalMachine, place: Place): void {
    this.machine = machine;
    this.place = place;
    this.death = undefined;
    machine.onVcpuDeath((error) => this.died(machine, error));
    this.saidEnded = false;
    if (isBoard(machine)) machine.onEvent(() => this.tellEnd());
    // A guest that starts is no RESUME: nobody has seen it stand.
    this.saidRunning = this.isRunning;
    this.tellResident();
  }

  /** Once, and where it is: it may have ended before it was known to be here, or elsewhere. */
  private tellEnd(): void {
    const { machine } = this;
    if (this.place !== 'here' || this.saidEnded || machine === undefined) return;
    const end = isBoard(machine) ? machine.event : undefined;
    if (end === undefined) return;
    this.saidEnded = true;
    this.events.ended(end);
  }

  private died(machine: LocalMachine, error: SternaError): void {
    if (this.machine !== machine) return;
    this.death = error;
    this.log.error({ event: 'guest.vcpu-died', uuid: this.uuid, detail: error.detail });
    this.changed();
  }

  private async clear(): Promise<void> {
    const { machine } = this;
    this.machine = undefined;
    this.place = 'none';
    this.death = undefined;
    this.saidRunning = false;
    this.tellResident();
    if (machine !== undefined) await machine.destroy();
    // Not before: what it has asked of its disks may be under way.
    this.unlock();
  }

  private tellResident(): void {
    const resident = this.place === 'here' ? this.machine : undefined;
    if (resident === this.resident) return;
    this.resident = resident;
    this.events.resides(resident);
  }

  private changed(isRunning = this.isRunning): void {
    this.tellResident();
    if (isRunning === this.saidRunning) return;
    this.saidRunning = isRunning;
    this.events.emit(isRunning ? 'RESUME' : 'STOP');
  }
}
