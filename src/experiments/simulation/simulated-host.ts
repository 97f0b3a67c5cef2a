import { type OwnershipRecord, SternaError } from '../../base/index.ts';
import { SimMachine } from '../../guest/index.ts';
import type { Machine, MachineDescription, MachineFactory } from '../../guestmem/index.ts';
import type { ObservedChannel } from './observed-channel.ts';
import { SimulatedGuest } from './simulated-guest.ts';
import { SimulatedLedger } from './simulated-ledger.ts';
import type { World } from './world.ts';

/** Building a machine takes a moment, in which anything else can happen. */
const BUILD_MS = 3;

/** One agent without its process: a disk with ownership records, and room for one guest. */
export class SimulatedHost {
  readonly name: string;
  readonly ledger: SimulatedLedger;
  guest: SimulatedGuest | undefined;
  /** Of the attempt that runs, or ran last. */
  channel: ObservedChannel | undefined;
  factoryFault: 'refuses' | 'fails' | undefined;
  private readonly world: World;

  constructor(name: string, world: World) {
    this.name = name;
    this.world = world;
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
    const guest = this.hold(machine, []);
    return guest;
  }

  /** As an agent that ends: what it had of the guest is gone. */
  clear(): void {
    this.guest?.destroy();
    this.guest = undefined;
  }

  factory(): MachineFactory {
    const { world } = this;
    const real = SimMachine.factory(world.clock);
    const factory: MachineFactory = {
      refusal: (description) =>
        this.factoryFault === 'refuses'
          ? { code: 'E_BUSY', message: 'The destination is busy in this simulation' }
          : real.refusal(description),
      create: (description) => this.build(description, real),
      destroy: async () => {
        await world.clock.sleep(BUILD_MS);
        this.clear();
        world.log.add({ kind: 'destroyed', host: this });
      },
    };
    return world.parts.factory?.(factory, this) ?? factory;
  }

  private async build(description: MachineDescription, real: MachineFactory): Promise<Machine> {
    const { world } = this;
    await world.clock.sleep(BUILD_MS);
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
    const guest = new SimulatedGuest(machine, reasons, world.clock, world.plan.guest, {
      paused: (reason) => world.log.add({ kind: 'paused', host: this, reason }),
      resumed: (reason) => world.log.add({ kind: 'resumed', host: this, reason }),
      written: (written, pfn) => world.parts.written?.(written, pfn),
    });
    this.guest = guest;
    return guest;
  }
}
