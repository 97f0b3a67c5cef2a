import { type OwnershipLedger, SternaError } from '../../base/index.ts';
import { HalfImage } from './half-image.ts';
import { halfImageError } from './half-image-error.ts';

/**
 * The page spill at `path`, if this agent may go on with it: by its record it has given away that
 * guest, at that epoch, in that migration. Rejects with E_HALF_IMAGE that says what does not fit,
 * or with E_STATE when the record says that the guest is not away.
 */
export async function openFoundSpill(
  path: string,
  ledger: OwnershipLedger,
  expectedUuid: string | undefined,
): Promise<HalfImage> {
  const image = await HalfImage.open(path);
  try {
    refuse(image, ledger, expectedUuid);
    return image;
  } catch (thrown) {
    await image.close();
    throw thrown;
  }
}

function refuse(image: HalfImage, ledger: OwnershipLedger, expectedUuid: string | undefined): void {
  const { path, head } = image;
  const { uuid } = head.machine;
  if (head.side !== 'source') throw halfImageError('Half image is not that of a source', { path });
  if (expectedUuid !== undefined && expectedUuid.toLowerCase() !== uuid.toLowerCase()) {
    throw halfImageError('Page spill is of another guest', { path, uuid, expectedUuid });
  }
  const record = ledger.read(uuid);
  if (record === undefined) {
    throw halfImageError('This agent has no record of the guest of that page spill', { uuid });
  }
  if (record.epoch !== head.epoch) {
    const detail = { epoch: head.epoch, recordedEpoch: record.epoch, state: record.state };
    throw halfImageError('Page spill is of another epoch of the guest', detail);
  }
  if (record.state !== 'granting' && record.state !== 'granted') {
    throw new SternaError('E_STATE', 'By its record this agent has not given the guest away', {
      detail: { uuid, epoch: record.epoch, state: record.state },
    });
  }
  if (record.migrationId !== head.migrationId) {
    const detail = { migrationId: head.migrationId, recordedMigration: record.migrationId };
    throw halfImageError('Page spill is of another migration', detail);
  }
}
