import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnershipRecord, volatileLedger } from '../../../../src/base/index.ts';
import { openFoundSpill } from '../../../../src/control/half-image/found-spill.ts';
import { writeHalf } from '../../../../src/control/half-image/half-writer.ts';
import { FAKE_DESCRIPTION } from '../../../support/fake-machine.ts';
import { halfGuest } from '../../../support/half-guest.ts';

const { uuid } = FAKE_DESCRIPTION;
const RECORD: OwnershipRecord = {
  uuid,
  epoch: 2,
  state: 'granted',
  migrationId: 'migration-1',
  peer: 'tcp:127.0.0.1:4444',
};

let directory: string;
const paths = { source: '', destination: '' };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sterna-spill-'));
  const guest = halfGuest(10);
  for (const side of ['source', 'destination'] as const) {
    paths[side] = join(directory, side);
    await writeHalf(paths[side], guest.half(side, [[0, 1]]));
  }
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function found(
  record: Partial<OwnershipRecord> | undefined,
  side: 'source' | 'destination' = 'source',
  expectedUuid?: string,
): Promise<number> {
  const ledger = volatileLedger();
  if (record !== undefined) await ledger.write({ ...RECORD, ...record });
  const image = await openFoundSpill(paths[side], ledger, expectedUuid);
  await image.close();
  return image.pages;
}

test.each(['granted', 'granting'] as const)(
  'openFoundSpill() takes it when the record says %s',
  async (state) => {
    expect(await found({ state })).toBe(2);
    expect(await found({ state }, 'source', uuid.toUpperCase())).toBe(2);
  },
);

test.each([
  ['another epoch', { epoch: 3 }, 'Page spill is of another epoch of the guest'],
  ['another migration', { migrationId: 'migration-2' }, 'Page spill is of another migration'],
  ['no record', undefined, 'This agent has no record of the guest of that page spill'],
])('openFoundSpill() refuses one of %s', async (_, record, message) => {
  const refused = found(record);
  await expect(refused).rejects.toMatchObject({ code: 'E_HALF_IMAGE', message });
});

test.each(['owner', 'lost', 'preparing', 'abandoned'] as const)(
  'openFoundSpill() refuses one when the record says %s',
  async (state) => {
    await expect(found({ state })).rejects.toMatchObject({ code: 'E_STATE', detail: { state } });
  },
);

test('openFoundSpill() refuses that of another guest, and the half of a destination', async () => {
  const other = FAKE_DESCRIPTION.uuid.replace('6', '7');
  await expect(found({}, 'source', other)).rejects.toThrow('Page spill is of another guest');
  await expect(found({}, 'destination')).rejects.toThrow('Half image is not that of a source');
});
