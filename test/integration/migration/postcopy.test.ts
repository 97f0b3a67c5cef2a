import { afterEach, beforeEach, expect, it } from 'vitest';
import { expectEqualMemory, savedMemory } from './guest-memory-file.ts';
import {
  CREEPING,
  GUEST,
  type PostcopyReply,
  postcopyOf,
  switched,
  UNLIMITED,
} from './postcopy-stage.ts';
import { listenUri, Stage } from './stage.ts';
import { withEveryGuest } from './test-guest.ts';

/** The guest goes first, and its pages follow: what clients see, and what they may do meanwhile. */

const PAGES = 4096;

/** Apart from a ping or the farewell, which one of the two may have counted and the other not. */
function expectNear(bytes: number | undefined, expected: number | undefined): void {
  expect(Math.abs((bytes ?? 0) - (expected ?? Number.NaN))).toBeLessThan(512);
}

withEveryGuest('post-copy', (guest) => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(guest);
  });

  afterEach(() => stage.end());

  it('moves all of RAM, tells it on both sides, and leaves the guest whole', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    const here = await source.hasStatus('postcopy-active');
    expect(here).toMatchObject({ downtime: expect.any(Number), 'x-sterna': { epoch: 2 } });
    expect(here).not.toHaveProperty('expected-downtime');
    expect(await source.runState()).toEqual({ running: false, status: 'postmigrate' });
    const there = await destination.hasStatus('postcopy-active');
    expect(await destination.runState()).toEqual({ running: true, status: 'running' });
    expect(Object.keys(there).filter((name) => name.startsWith('postcopy'))).toEqual([
      'postcopy-blocktime',
      'postcopy-vcpu-blocktime',
      'postcopy-latency',
      'postcopy-latency-dist',
      'postcopy-vcpu-latency',
      'postcopy-non-vcpu-latency',
    ]);
    await source.set(UNLIMITED);
    const over = await source.proven();
    expect(over).toMatchObject({
      ram: { remaining: 0 },
      'x-sterna': { verify: { status: 'identical', pages: PAGES }, postcopy: { remaining: 0 } },
    });
    await destination.hasStatus('completed');
    const statuses = (site: typeof source) =>
      site.events
        .filter(({ event }) => event === 'MIGRATION')
        .map(({ data }) => data.status)
        .filter((status, index, all) => status !== all[index - 1]);
    expect(statuses(source)).toEqual(['setup', 'active', 'device', 'postcopy-active', 'completed']);
    expect(statuses(destination).slice(-2)).toEqual(['postcopy-active', 'completed']);
    await destination.advances(100);
    await destination.checkGuest();
  });

  it('counts what its vCPUs waited for as the guest itself does', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await destination.migration('waits', (reply) => postcopyOf(reply).requests >= 8);
    await source.set(UNLIMITED);
    const over = await source.proven();
    const there = (await destination.hasStatus('completed')) as PostcopyReply;
    const ours = postcopyOf(over);
    const theirs = postcopyOf(there);
    expect(over.ram['postcopy-requests']).toBe(theirs.requests);
    expect(ours.requests).toBe(theirs.requests);
    expect(ours.missing).toBe(theirs.missing);
    // Every page went over once, or is part of a zero run.
    expect(over.ram['postcopy-bytes']).toBeGreaterThan(4096 * theirs.requests);
    expectNear(there.ram['postcopy-bytes'], over.ram['postcopy-bytes']);
    const { 'postcopy-latency-dist': buckets, 'postcopy-vcpu-blocktime': blockedMs } = there;
    const waits = buckets.reduce((sum, count) => sum + count, 0);
    expect(buckets).toHaveLength(24);
    expect(waits).toBeGreaterThanOrEqual(theirs.requests);
    expect(theirs['waited-share']).toBeCloseTo(theirs.requests / theirs.missing, 3);
    // One vCPU: it is blocked exactly when all are, and no less than the buckets say.
    expect(blockedMs).toEqual([there['postcopy-blocktime']]);
    const leastMs = buckets.reduce((sum, count, bucket) => sum + (count * 2 ** bucket) / 1000, 0);
    expect(blockedMs[0]).toBeGreaterThanOrEqual(Math.floor(leastMs) - 1);
    expect(ours['blocktime-ms']).toBeCloseTo(theirs['blocktime-ms'] ?? -1, 2);
    expect(theirs.brownout?.some((share) => share > 0)).toBe(true);
  });

  it('brings the bytes that left', async () => {
    const source = await stage.source('source', GUEST);
    const destination = await stage.destination('destination', ['--paused']);
    await source.advances(1000);
    await source.set({ 'x-mode': 'postcopy' });
    await source.migrate(listenUri(destination));
    await source.proven();
    const bytes = 2 ** 24;
    const [sent, arrived] = await Promise.all([
      savedMemory(source, stage.stateDirectory('sent.bin'), bytes),
      savedMemory(destination, stage.stateDirectory('arrived.bin'), bytes),
    ]);
    expectEqualMemory(arrived, sent);
  });

  it.each([
    ['after a pass', { 'x-mode': 'hybrid', 'x-postcopy-after-passes': 1 }, false],
    [
      'on command',
      { 'x-mode': 'hybrid', 'x-postcopy-after-passes': 0, 'x-postcopy-plateau': 'off' },
      true,
    ],
    ['on command in pre-copy with the capability', { 'x-mode': 'precopy' }, true],
    ['when time is up', { 'x-timeout': 300, 'x-timeout-action': 'postcopy' }, false],
  ] as const)('follows pre-copy %s', async (_name, parameters, isCommanded) => {
    const source = await stage.source('source', GUEST);
    const destination = await stage.destination('destination');
    await source.enable('postcopy-ram');
    await source.set({ ...parameters, ...CREEPING, 'max-bandwidth': 48 * 2 ** 20 });
    await source.set({ 'downtime-limit': 0 });
    await source.advances(1000);
    await source.migrate(listenUri(destination));
    if (isCommanded) {
      await source.migration('pre-copy', ({ ram }) => (ram?.transferred ?? 0) > 2 ** 20);
      await source.qmp.execute('migrate-start-postcopy');
    }
    const reply = await source.hasStatus('postcopy-active');
    expect(postcopyOf(reply).missing).toBeGreaterThan(0);
    expect(postcopyOf(reply).missing).toBeLessThan(PAGES);
    // Harmless now.
    await source.qmp.execute('migrate-start-postcopy');
    await source.set(UNLIMITED);
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.advances(100);
    await destination.checkGuest();
  });

  it('brings what vCPUs wait for on a connection of its own with postcopy-preempt', async () => {
    const source = await stage.source('source', { ...GUEST, vcpus: 2 });
    const destination = await stage.destination('destination');
    const { proxy, uri } = await stage.proxy(listenUri(destination));
    await source.qmp.execute('migrate-set-capabilities', {
      capabilities: ['postcopy-ram', 'postcopy-preempt'].map((capability) => ({
        capability,
        state: true,
      })),
    });
    await source.set({ 'x-mode': 'postcopy', ...CREEPING });
    await source.advances(1000);
    await source.migrate(uri);
    await destination.migration('waits', (reply) => postcopyOf(reply).requests >= 4);
    expect(proxy.connectionCount).toBe(2);
    await source.set(UNLIMITED);
    const over = await source.proven();
    expect(over['x-sterna'].verify.status).toBe('identical');
    // Both connections count, on both sides, and the wire agrees.
    const there = await destination.hasStatus('completed');
    expectNear(there.ram['postcopy-bytes'], over.ram['postcopy-bytes']);
    expectNear(over.ram.transferred, proxy.toTarget.forwardedBytes);
    await destination.advances(100);
    await destination.checkGuest();
  });

  it('refuses what cannot be done meanwhile, and says what can', async () => {
    const { source, destination } = await switched(stage, { 'x-mode': 'postcopy' });
    await source.hasStatus('postcopy-active');
    await destination.hasStatus('postcopy-active');
    const refused = (site: typeof source, command: string, args?: object) =>
      expect(site.qmp.execute(command, args as Record<string, unknown>)).rejects;
    const there = { code: 'E_STATE', guestOwner: 'destination' };
    await refused(source, 'migrate_cancel').toMatchObject({
      message: expect.stringMatching(/^Postcopy migration in progress, cannot cancel.*resume/),
      sternaError: there,
    });
    await refused(destination, 'migrate_cancel').toMatchObject({ sternaError: there });
    await refused(source, 'migrate', { uri: listenUri(destination) }).toMatchObject({
      sternaError: there,
    });
    await refused(source, 'cont').toMatchObject({ sternaError: there });
    await refused(source, 'migrate', { resume: true }).toMatchObject({
      message: 'Cannot resume if there is no paused migration',
    });
    await refused(destination, 'migrate-recover', { uri: 'tcp:127.0.0.1:0' }).toMatchObject({
      message: 'Migrate recover can only be run when postcopy is paused.',
    });
    // Until the guest has come as a whole it cannot leave again.
    await refused(destination, 'migrate', { uri: 'tcp:127.0.0.1:1' }).toMatchObject({
      message: 'The guest is still arriving: pages of it are missing',
      sternaError: { ...there, detail: { missingPages: expect.any(Number) } },
    });
    await refused(source, 'migrate-set-capabilities', {
      capabilities: [{ capability: 'postcopy-ram', state: true }],
    }).toMatchObject({ message: "There's a migration process in progress" });
    await source.set(UNLIMITED);
    await source.proven();
    await refused(source, 'migrate-pause').toMatchObject({
      message:
        'migrate-pause is currently only supported during postcopy-active or postcopy-recover state',
    });
    await refused(source, 'migrate-start-postcopy').toMatchObject({
      message: 'Postcopy must be started after migration has been started',
    });
  });

  it('refuses what does not go together before anything moves', async () => {
    const source = await stage.source('source', GUEST);
    const refused = (command: string, args: Record<string, unknown>) =>
      expect(source.qmp.execute(command, args)).rejects;
    await refused('migrate-set-capabilities', {
      capabilities: [{ capability: 'postcopy-preempt', state: true }],
    }).toMatchObject({ message: 'Postcopy preempt requires postcopy-ram' });
    await refused('migrate-start-postcopy', {}).toMatchObject({
      message: 'Enable postcopy with migrate_set_capability before the start of migration',
    });
    await source.set({ 'x-mode': 'hybrid' });
    const uri = `file:${stage.stateDirectory('guest.sterna')}`;
    await refused('migrate', { uri }).toMatchObject({ sternaError: { code: 'E_CONFIG_INVALID' } });
    await source.set({ 'x-mode': 'precopy', 'x-verify': 'strict' });
    await source.enable('postcopy-ram');
    await refused('migrate', { uri: 'tcp:127.0.0.1:1' }).toMatchObject({
      sternaError: { code: 'E_CONFIG_INVALID', detail: { 'x-verify': 'strict' } },
    });
    expect(await source.query()).toEqual({});
    expect(await source.isRunning()).toBe(true);
  });
});
