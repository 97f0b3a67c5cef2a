import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  type Clock,
  defaultCapabilities,
  defaultParameters,
  type Logger,
  type OwnershipLedger,
  volatileLedger,
} from '../../base/index.ts';
import { createFileChannel } from '../../channel/index.ts';
import { OutgoingMigration } from '../../source/index.ts';
import { HalfImage } from './half-image.ts';
import { halfImageError } from './half-image-error.ts';
import { pagesOf } from './half-layout.ts';
import { StillMachine } from './still-machine.ts';

export interface JoinHalvesOptions {
  /** A page spill. */
  readonly source: string;
  /** What `x-dump-half` wrote. */
  readonly destination: string;
  /** The migration file to write. */
  readonly out: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A guest that is whole again. */
export interface JoinedHalves {
  readonly uuid: string;
  /** The one that who loads the file will own: later than that of both sides. */
  readonly epoch: number;
  readonly sourcePages: number;
  readonly destinationPages: number;
}

/**
 * Makes an ordinary migration file of the two halves of a guest. A page that the destination has is
 * taken from there: its guest may have written it. Rejects with E_HALF_IMAGE when they are not the
 * halves of one guest or pages are missing, and with E_FILE.
 */
export async function joinHalves(options: JoinHalvesOptions): Promise<JoinedHalves> {
  const source = await HalfImage.open(options.source);
  try {
    const destination = await HalfImage.open(options.destination);
    try {
      refuseStrangers(source, destination);
      return await join(source, destination, options);
    } finally {
      await destination.close();
    }
  } finally {
    await source.close();
  }
}

async function join(
  source: HalfImage,
  destination: HalfImage,
  { out, clock, log }: JoinHalvesOptions,
): Promise<JoinedHalves> {
  const { machine: description, epoch } = destination.head;
  const { state } = destination;
  if (state === undefined) throw wrong('Destination half has no machine state', destination);
  const machine = new StillMachine(description, state, clock);
  const destinationPages = await destination.load(machine.memory);
  const sourcePages = await source.load(machine.memory, destination.bitmaps);
  const missing = pagesOf(description) - destinationPages - sourcePages;
  if (missing > 0) {
    throw halfImageError('Pages of the guest are in neither half', { pages: missing });
  }
  const { uuid } = description;
  const engine = new OutgoingMigration({
    machine,
    channel: await createFileChannel(out, clock),
    clock,
    ledger: await ownerOf(uuid, epoch),
    log,
    migrationId: randomUUID(),
    peer: `file:${out}`,
    // The engine of every other file: whole, compared when it is loaded, granted by its last frame.
    parameters: { ...defaultParameters(), mode: 'stop', maxBandwidthBytesPerSecond: 0 },
    capabilities: defaultCapabilities(),
    observer: { info: () => {} },
  });
  const { error } = await engine.run();
  if (error !== undefined) throw error;
  return { uuid, epoch: epoch + 1, sourcePages, destinationPages };
}

/** They must be of one guest, and of one hand-over of it. */
function refuseStrangers(source: HalfImage, destination: HalfImage): void {
  if (source.head.side !== 'source') throw wrong('Half image is not that of a source', source);
  if (destination.head.side !== 'destination') {
    throw wrong('Half image is not that of a destination', destination);
  }
  const [ours, theirs] = [source.head, destination.head];
  if (ours.machine.uuid !== theirs.machine.uuid) throw differ('guests', ours, theirs);
  if (ours.migrationId !== theirs.migrationId) throw differ('migrations', ours, theirs);
  if (ours.epoch !== theirs.epoch) throw differ('epochs', ours, theirs);
  if (!isDeepStrictEqual(ours.machine, theirs.machine)) throw differ('machines', ours, theirs);
}

function wrong(text: string, { path }: HalfImage) {
  return halfImageError(text, { path });
}

function differ(what: string, ours: HalfImage['head'], theirs: HalfImage['head']) {
  return halfImageError(`Half images are of two ${what}`, {
    sourceUuid: ours.machine.uuid,
    destinationUuid: theirs.machine.uuid,
    sourceMigration: ours.migrationId,
    destinationMigration: theirs.migrationId,
    sourceEpoch: ours.epoch,
    destinationEpoch: theirs.epoch,
  });
}

/** The file gives away the epoch after the one in which the guest was torn. */
async function ownerOf(uuid: string, epoch: number): Promise<OwnershipLedger> {
  const ledger = volatileLedger();
  await ledger.write({ uuid, epoch, state: 'owner', migrationId: undefined, peer: undefined });
  return ledger;
}
