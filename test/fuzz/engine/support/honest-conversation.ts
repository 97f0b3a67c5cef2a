import {
  defaultCapabilities,
  defaultParameters,
  type MigrationMode,
  PAGE_BYTES,
  RAM_BYTES_MIN,
  Random,
  SimClock,
  silentLogger,
  type VerifyMode,
  volatileLedger,
} from '../../../../src/base/index.ts';
import { IncomingMigration } from '../../../../src/destination/index.ts';
import { SimMachine } from '../../../../src/guest/index.ts';
import { OutgoingMigration } from '../../../../src/source/index.ts';
import { connect, WatchedChannel } from './raw-peer.ts';

/** What further connections of the captured migrations show. */
export const SECRET = '0123456789abcdef0123456789abcdef';
export const UUID = '00000000-0000-4000-8000-000000000001';
/** Two blocks, so that frames can name the wrong one. */
export const BLOCK_PAGES = [RAM_BYTES_MIN / PAGE_BYTES - 100, 100] as const;
const HOT_PAGES = 8;

/** What two honest engines said to each other: the raw material of everything hostile. */
export interface Conversation {
  readonly fromSource: readonly Uint8Array[];
  readonly fromDestination: readonly Uint8Array[];
}

export function smallGuest(clock: SimClock): SimMachine {
  const machine = SimMachine.create({ clock, blockPages: BLOCK_PAGES, vcpuCount: 2, uuid: UUID });
  const last = machine.memory.pageCount - 1;
  for (const pfn of [0, 1, 2, 3, 5, 300, BLOCK_PAGES[0] - 1, BLOCK_PAGES[0], last])
    machine.write(pfn);
  return machine;
}

/** The guest writes now and then until the returned function is called. */
export function letRun(machine: SimMachine, clock: SimClock): () => void {
  const random = new Random(7);
  return clock.every(4, () => machine.step(random, 2, HOT_PAGES));
}

/** Records one migration that goes well. */
export async function honestConversation(
  mode: MigrationMode,
  verify: VerifyMode,
): Promise<Conversation> {
  const clock = new SimClock();
  const connection = connect(clock, 'a');
  const machine = smallGuest(clock);
  const stop = letRun(machine, clock);
  const shared = { clock, log: silentLogger(), observer: { info: () => {} } };
  const sourceChannel = new WatchedChannel(clock, connection, 'a', []);
  const destinationChannel = new WatchedChannel(clock, connection, 'b', []);
  const outgoing = new OutgoingMigration({
    ...shared,
    machine,
    channel: sourceChannel,
    ledger: volatileLedger(),
    migrationId: 'captured',
    peer: 'memory:b',
    // A few passes, with deltas in them.
    parameters: {
      ...defaultParameters(),
      mode,
      verify,
      downtimeLimitMs: 1,
      timeoutMs: 25,
      timeoutAction: 'suspend',
    },
    capabilities: { ...defaultCapabilities(), xbzrle: true },
    secret: SECRET,
  });
  const incoming = new IncomingMigration({
    ...shared,
    channel: destinationChannel,
    ledger: volatileLedger(),
    factory: SimMachine.factory(clock),
    expectedUuid: UUID,
    startPaused: false,
    stallTimeoutMs: 10_000,
  });
  const [result] = await clock.runUntil(Promise.all([outgoing.run(), incoming.run()]), 60_000);
  stop();
  if (result.status !== 'completed') throw result.error;
  return { fromSource: sourceChannel.captured, fromDestination: destinationChannel.captured };
}
