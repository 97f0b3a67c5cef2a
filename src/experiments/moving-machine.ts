import { randomBytes } from 'node:crypto';
import {
  defaultCapabilities,
  defaultParameters,
  type MigrationCapabilities,
  type MigrationInfo,
  type MigrationParameters,
  silentLogger,
  systemClock,
  volatileLedger,
} from '../base/index.ts';
import { memoryChannelPair } from '../channel/index.ts';
import { IncomingMigration, type IncomingOutcome } from '../destination/index.ts';
import type { Machine, MachineDescription, MachineFactory } from '../guestmem/index.ts';
import { migrationIdOf } from '../protocol/index.ts';
import { type MigrationOutcome, OutgoingMigration } from '../source/index.ts';

export interface MoveOptions<Kind extends Machine> {
  /** A machine of that description, paused for the reason `ownership`. */
  readonly create: (description: MachineDescription) => Promise<Kind>;
  /** Why no such machine can be built; without it, any can. */
  readonly refusal?: MachineFactory['refusal'];
  readonly parameters?: Partial<MigrationParameters>;
  readonly capabilities?: Partial<MigrationCapabilities>;
  /** Told after each change at the source. */
  readonly onInfo?: (info: MigrationInfo, outgoing: OutgoingMigration) => void;
}

export interface Move<Kind extends Machine> {
  /** Where the guest is now. */
  readonly machine: Kind;
  readonly source: MigrationOutcome;
  readonly destination: IncomingOutcome;
  readonly info: MigrationInfo;
}

/** Both engines in this thread, in real time, around a guest whose vCPUs run in their own. */
export async function moveMachine<Kind extends Machine>(
  machine: Kind,
  options: MoveOptions<Kind>,
): Promise<Move<Kind>> {
  const clock = systemClock();
  const { a, b } = memoryChannelPair({ clock, latencyMs: 0 });
  const secret = randomBytes(16).toString('hex');
  let arrived: Kind | undefined;
  const factory: MachineFactory = {
    refusal: (description) => options.refusal?.(description),
    create: async (description) => {
      arrived = await options.create(description);
      return arrived;
    },
    destroy: async () => {},
  };
  const outgoing = new OutgoingMigration({
    machine,
    channel: a,
    clock,
    ledger: volatileLedger(),
    log: silentLogger(),
    secret,
    migrationId: migrationIdOf(secret),
    peer: 'memory:destination',
    parameters: { ...defaultParameters(), maxBandwidthBytesPerSecond: 0, ...options.parameters },
    capabilities: { ...defaultCapabilities(), ...options.capabilities },
    observer: { info: (info) => options.onInfo?.(info, outgoing) },
  });
  const incoming = new IncomingMigration({
    channel: b,
    clock,
    ledger: volatileLedger(),
    log: silentLogger(),
    factory,
    expectedUuid: undefined,
    startPaused: false,
    stallTimeoutMs: 30_000,
    observer: { info: () => {} },
  });
  const [source, destination] = await Promise.all([outgoing.run(), incoming.run()]);
  return { machine: arrived ?? machine, source, destination, info: outgoing.info() };
}
