/** Sterna as a library: the engines, what they need, and the machines that come with it. */
export {
  type Clock,
  createLogger,
  defaultCapabilities,
  defaultParameters,
  type ErrorCode,
  type Logger,
  type MigrationCapabilities,
  type MigrationInfo,
  type MigrationParameters,
  type OwnershipLedger,
  type OwnershipRecord,
  SimClock,
  SternaError,
  silentLogger,
  systemClock,
  volatileLedger,
} from './base/index.ts';
export {
  type Channel,
  connectTcp,
  createFileChannel,
  memoryChannelPair,
  openFileChannel,
  TcpListener,
} from './channel/index.ts';
export {
  IncomingMigration,
  type IncomingOptions,
  type IncomingOutcome,
} from './destination/index.ts';
export { boardConfig, planBoot, RiscvMachine, riscvDescription } from './guest/index.ts';
export {
  GuestMemory,
  type Machine,
  type MachineDescription,
  type MachineFactory,
  type MachineState,
} from './guestmem/index.ts';
export { type MigrationOutcome, OutgoingMigration, type OutgoingOptions } from './source/index.ts';
