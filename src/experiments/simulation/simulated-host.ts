import { OwnershipKeeper, type OwnershipRecord, SternaError } from '../../base/index.ts';
import { SimMachine } from '../../guest/index.ts';
import type { Machine, MachineDescription, MachineFactory } from '../../guestmem/index.ts';
import type { ObservedChannel } from './observed-channel.ts';
import { SimulatedGuest } from './simulated-guest.ts';
import { SimulatedLedger } from './simulated-ledger.ts';
import { SimulatedProcess } from './simulated-process.ts';
import type { World } from './world.ts';

/** Building a machine takes a moment, in which anything else can happen. */
const BUILD_MS = 3;

/** One agent without its process: a disk with ownership records, and room for one guest. */
export class SimulatedHost {
  readonly name: string;
  readonly ledger: SimulatedLedger;
  guest: SimulatedGuest | undefined;
  /** Of the attempt that runs, or ran last. */
  readonly channels: ObservedChannel[] = [];
  /** The one that runs, or was killed last. */
  process: SimulatedProcess;
  factoryFault: 'refuses' | 'fails' | undefined;
  private readonly world: World;

  constructor(name: string, world: World) {
    this.name = name;
    this.world = world;
    this.process = new SimulatedProcess(world.clock);
    this.ledger = new SimulatedLedger(world.clock, world.plan.recordMs, {
      recorded: (record) => world.log.add({ kind: 'recorded', host: this, record }),
      refused: ({ state }) => world.log.add({ kind: 'refused', host: this, what: state }),
    });
  }

  /** What its disk says of the guest. */
  get record(): OwnershipRecord | undefined {
    return this.ledger.read(this.world.uuid);
  }

  get isRunning(): boolean {
    return this.guest?.isRunning === true;
  }

  /** Builds the guest as its first owner does. */
  give(machine: SimMachine): SimulatedGuest {
    return this.hold(machine, []);
  }

  /** As an agent that ends: what it had of the guest is gone. */
  clear(): void {
    this.guest?.destroy();
    this.guest = undefined;
  }

  /** An operator has it run elsewhere, and this side has heard of it. */
  yieldGuest(): void {
    this.clear();
    this.world.log.add({ kind: 'destroyed', host: this });
  }

  /** Everything but the disk is gone. */
  kill(): void {
    if (!this.process.isAlive) return;
    this.process.kill();
    this.clear();
    this.world.log.add({ kind: 'killed', host: this });
  }

  /**
   * A new process, which settles what its predecessor has left: with `boots` as a source that
   * builds the guest anew where the record lets it, else as an agent that waits for guests.
   */
  async restart(boots: boolean): Promise<void> {
    const { world, ledger } = this;
    this.process = new SimulatedProcess(world.clock);
    world.log.add({ kind: 'restarted', host: this });
    const keeper = new OwnershipKeeper({ ledger, uuid: world.uuid, peer: undefined });
    const outcome = await keeper.handle({ type: boots ? 'boot' : 'settle' });
    if (!boots || !this.process.isAlive) return;
    if (!outcome.accepted) await keeper.handle({ type: 'settle' });
    else if (outcome.ownership.phase === 'owner') this.give(world.newMachine());
  }

  factory(): MachineFactory {
    const { world } = this;
    const { process } = this;
    const real = SimMachine.factory(world.clock);
    const factory: MachineFactory = {
      refusal: (description) =>
        this.factoryFault === 'refuses'
          ? { code: 'E_BUSY', message: 'The destination is busy in this simulation' }
          : real.refusal(description),
      create: (description) => this.build(description, real),
      destroy: async () => {
        await process.clock.sleep(BUILD_MS);
        this.clear();
        world.log.add({ kind: 'destroyed', host: this });
      },
    };
    return world.parts.factory?.(factory, this) ?? factory;
  }

  private async build(description: MachineDescription, real: MachineFactory): Promise<Machine> {
    const { world } = this;
    await this.process.clock.sleep(BUILD_MS);
    if (this.factoryFault === 'fails') {
      world.log.add({ kind: 'refused', host: this, what: 'to build the machine' });
      throw new SternaError('E_NO_MEMORY', 'There is no memory in this simulation');
    }
    // SimMachine's factory makes nothing else.
    const machine = (await real.create(description)) as SimMachine;
    const guest = this.hold(machine, ['ownership']);
    world.log.add({ kind: 'built', host: this });
    return world.parts.machine?.(guest, this) ?? guest;
  }

  private hold(machine: SimMachine, reasons: ConstructorParameters<typeof SimulatedGuest>[1]) {
    const { world } = this;
    const { process } = this;
    const guest = new SimulatedGuest(machine, reasons, process.clock, world.plan.guest, {
      paused: (reason) => {
        if (process.isAlive) world.log.add({ kind: 'paused', host: this, reason });
      },
      resumed: (reason) => {
        if (process.isAlive) world.log.add({ kind: 'resumed', host: this, reason });
      },
      written: (written, pfn) => {
        world.parts.written?.(written, pfn);
        world.log.add({ kind: 'wrote', host: this, pfn });
      },
    });
    this.guest = guest;
    return guest;
  }
}
