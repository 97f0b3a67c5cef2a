import { expect, test } from 'vitest';
import { deferred, type OwnershipState, PAGE_BYTES, SternaError } from '../../../src/base/index.ts';
import { FAKE_DESCRIPTION, ramDifferences } from '../../support/fake-machine.ts';
import { FakeSpill, SITE_NAME, SITE_SECRET, SpillSite } from '../../support/spill-site.ts';

const { uuid } = FAKE_DESCRIPTION;

test('a new process sends what its predecessor had, faults first, and what it has is compared', async () => {
  const site = new SpillSite();
  const spill = new FakeSpill();
  const { postcopy } = await site.tear(spill);
  expect(spill.half).toMatchObject({
    ...SITE_NAME,
    epoch: 2,
    secret: SITE_SECRET,
    machine: FAKE_DESCRIPTION,
  });
  expect(postcopy?.spill).toMatchObject({ status: 'durable', writtenBytes: 601 * PAGE_BYTES });
  const [arrived] = site.factory.created;
  expect(arrived?.access(0, 299)).toBe(false);
  const takenUp = site.takenUp(spill);
  expect(await site.clock.runUntil(takenUp.run(), 60_000)).toMatchObject({ status: 'completed' });
  expect(takenUp.info()).toMatchObject({
    status: 'completed',
    owner: 'destination',
    epoch: 2,
    postcopy: { remainingPages: 0, recoveries: 1, spill: { status: 'removed' } },
    // All that this process has, and no page that it has not.
    verify: { status: 'identical', pages: 601 },
  });
  expect(takenUp.info().postcopy?.requests).toBe(1);
  expect(spill.removals).toBe(1);
  expect(arrived?.access(0, 299)).toBe(true);
  expect(ramDifferences(site.machine.memory, arrived?.memory ?? site.machine.memory)).toEqual([]);
});

test('the proof does not wait until the spill is gone, and the end of the migration does', async () => {
  const site = new SpillSite();
  const gate = deferred<void>();
  const spill = new FakeSpill();
  spill.remove = () => gate.promise;
  const outgoing = site.outgoing(spill);
  outgoing.setParameters({ maxPostcopyBandwidthBytesPerSecond: 0 });
  void site.incoming.run();
  let isOver = false;
  const running = outgoing.run().finally(() => {
    isOver = true;
  });
  await site.clock.advance(10_000);
  expect(outgoing.info()).toMatchObject({ status: 'completed', verify: { status: 'identical' } });
  expect(isOver).toBe(false);
  gate.resolve();
  expect(await site.clock.runUntil(running, 60_000)).toMatchObject({ status: 'completed' });
});

test.each(['durable', 'writing'] as const)(
  'a guest that is taken back leaves no spill that is %s',
  async (status) => {
    const site = new SpillSite();
    const spill = new FakeSpill();
    const removed = deferred<void>();
    // Reads RAM until it is told that nobody needs it.
    if (status === 'writing') spill.write = () => removed.promise;
    const outgoing = site.outgoing(spill);
    const running = outgoing.run();
    void site.incoming.run();
    await site.clock.advance(20);
    site.first.cut();
    await site.clock.advance(1);
    expect(outgoing.info()).toMatchObject({
      status: 'postcopy-paused',
      postcopy: { spill: { status } },
    });
    spill.remove = async () => {
      spill.removals += 1;
      removed.reject(new SternaError('E_FILE', 'Removed meanwhile'));
    };
    expect(await outgoing.takeBack()).toBe(3);
    expect((await site.clock.runUntil(running, 60_000)).error?.code).toBe('E_TAKEN_BACK');
    expect(site.machine.isRunning).toBe(true);
    expect(spill.removals).toBe(1);
    expect(outgoing.info().postcopy?.spill?.status).toBe('removed');
  },
);

test('a spill that fails costs the migration nothing, and the record says so', async () => {
  const site = new SpillSite();
  const spill = new FakeSpill({ failure: new SternaError('E_FILE', 'No space left on device') });
  const outgoing = site.outgoing(spill);
  outgoing.setParameters({ maxPostcopyBandwidthBytesPerSecond: 0 });
  const both = Promise.all([outgoing.run(), site.incoming.run()]);
  const [outcome] = await site.clock.runUntil(both, 60_000);
  expect(outcome).toMatchObject({ status: 'completed' });
  expect(outgoing.info()).toMatchObject({
    postcopy: { spill: { status: 'failed', error: { code: 'E_FILE' } } },
    verify: { status: 'identical', pages: 4096 },
  });
  // There is nothing to remove.
  expect(spill.removals).toBe(0);
});

test('pages that are neither at the destination nor in the spill are never made up', async () => {
  const site = new SpillSite();
  const spill = new FakeSpill();
  await site.tear(spill);
  // A spill without eight of the pages that were promised, and that have not come.
  for (let pfn = 36 * 8; pfn < 37 * 8; pfn += 1) spill.pages.delete(`0:${pfn}`);
  const takenUp = site.takenUp(spill);
  void takenUp.run();
  await site.clock.advance(3_000);
  expect(takenUp.info()).toMatchObject({
    status: 'postcopy-paused',
    postcopy: { pausedError: { code: 'E_PAGE_REQUEST' } },
  });
  expect(site.factory.created[0]?.block(0).isReceived(36 * 8)).toBe(false);
  expect(spill.removals).toBe(0);
});

test.each<[OwnershipState, OwnershipState, string, string]>([
  ['granting', 'abandoned', 'GRANT never arrived', 'none'],
  ['granted', 'lost', 'the process that ran it is gone', 'unknown'],
  ['granting', 'lost', 'the process that ran it is gone', 'unknown'],
])(
  'a record %s, and a destination that says %s: the guest is lost',
  async (ours, theirs, text, guestOwner) => {
    const site = new SpillSite();
    const spill = new FakeSpill();
    await site.tear(spill);
    site.destinationIsNew = true;
    const record = { uuid, epoch: 2, migrationId: SITE_NAME.migrationId, peer: undefined };
    await site.sourceLedger.write({ ...record, state: ours });
    await site.destinationLedger.write({ ...record, state: theirs });
    const takenUp = site.takenUp(spill);
    const outcome = await site.clock.runUntil(takenUp.run(), 60_000);
    expect(outcome).toMatchObject({
      status: 'failed',
      error: { code: 'E_GUEST_LOST', guestOwner },
    });
    expect(outcome.error?.message).toContain(text);
    expect(site.sourceLedger.read(uuid)).toMatchObject(
      theirs === 'abandoned' ? { state: 'owner', epoch: 1 } : { state: 'lost', epoch: 2 },
    );
    // What there is stays: an operator may want to look at it.
    expect(spill.removals).toBe(0);
  },
);

test('a destination that knows nothing is asked no more until somebody says so', async () => {
  const site = new SpillSite();
  const spill = new FakeSpill();
  await site.tear(spill);
  site.destinationIsNew = true;
  await site.destinationLedger.write({
    ...{ uuid, epoch: 1, state: 'abandoned', migrationId: 'older', peer: undefined },
  });
  const takenUp = site.takenUp(spill);
  const running = takenUp.run();
  await site.clock.advance(30_000);
  expect(takenUp.info()).toMatchObject({
    status: 'postcopy-paused',
    postcopy: { pausedError: { code: 'E_RECOVERY_REFUSED', detail: { outcome: 'none' } } },
  });
  expect(takenUp.cancel()).toBe('too-late');
  site.destinationIsNew = false;
  takenUp.resume();
  expect(await site.clock.runUntil(running, 60_000)).toMatchObject({ status: 'completed' });
  expect(() => takenUp.resume()).toThrow('There is no migration in post-copy');
});

test('a journal that was agreed on with the lost process ends, and the migration goes on', async () => {
  // The guest changes pages that the spill has written, and pages that it has not.
  let stores = 0;
  const site = new SpillSite({
    journal: true,
    destinationHooks: {
      beforeFlip: (machine) => {
        for (let pfn = 0; pfn < 300; pfn += 7) {
          if (!machine.isRunning || !machine.block(0).isReceived(pfn)) continue;
          stores += 1;
          machine.write(0, pfn, 16, Buffer.from(`store ${stores}`));
        }
      },
    },
  });
  // A disk that is slow at first: pages behind the first piece come back changed meanwhile.
  const pausesMs = [1_500];
  const spill = new FakeSpill({ pause: () => site.clock.sleep(pausesMs.pop() ?? 5) });
  const atSwitch = Buffer.from(site.machine.block(0).ram);
  const { postcopy } = await site.tear(spill);
  expect(postcopy?.journal?.points).toBeGreaterThan(3);
  // Of what it has not written before it was changed, there is nothing any more.
  expect(spill.pages.size).toBeLessThan(601);
  for (const [key, page] of spill.pages) {
    const [block, pfn = 0] = key.split(':').map(Number);
    const at = pfn * PAGE_BYTES;
    if (block === 0) expect(page.equals(atSwitch.subarray(at, at + PAGE_BYTES)), key).toBe(true);
  }
  const takenUp = site.takenUp(spill);
  expect(await site.clock.runUntil(takenUp.run(), 60_000)).toMatchObject({ status: 'completed' });
  expect(takenUp.info()).toMatchObject({
    postcopy: { recoveries: 1 },
    verify: { status: 'identical', pages: takenUp.info().postcopy?.missingPages },
  });
  const journal = site.incoming.info().postcopy?.journal;
  expect(journal?.error).toMatchObject({ code: 'E_STATE' });
  expect(journal?.error?.message).toContain('started again');
});

test('a spill is said to be removed once it is', async () => {
  const site = new SpillSite();
  const spill = new FakeSpill();
  const removal = deferred<void>();
  spill.remove = () => removal.promise;
  const outgoing = site.outgoing(spill);
  outgoing.setParameters({ maxPostcopyBandwidthBytesPerSecond: 0 });
  const both = Promise.all([outgoing.run(), site.incoming.run()]);
  await site.clock.advance(5000);
  expect(outgoing.info().postcopy?.remainingPages).toBe(0);
  expect(outgoing.info().postcopy?.spill?.status).toBe('durable');
  removal.resolve();
  await site.clock.runUntil(both, 60_000);
  expect(outgoing.info().postcopy?.spill?.status).toBe('removed');
});
