import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HalfImage } from '../../../src/control/half-image/half-image.ts';
import { until } from '../../support/until.ts';
import type { Fields, MigrationReply, Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';
import { withEveryGuest } from './test-guest.ts';

/** One side of a migration in post-copy is gone: the halves of the guest are on disk. */

const RAM_PAGES = (16 * 2 ** 20) / 4096;
/** The guest has its few hot pages soon, and all others come slowly. */
const GUEST = { workload: 'memwrite,fill=8M,hot=512K,rate=500,words=8,step=512', vcpus: 2 };
const SLOW = { 'x-mode': 'postcopy', 'max-postcopy-bandwidth': 2 ** 20 };

interface SpillReply {
  readonly status: string;
  readonly path: string;
  readonly 'written-bytes': number;
  readonly 'durable-after-ms'?: number;
  readonly error?: { readonly code: string; readonly detail: Fields };
}

function spillOf(reply: MigrationReply): SpillReply | undefined {
  return (reply['x-sterna'] as unknown as { spill?: SpillReply } | undefined)?.spill;
}

withEveryGuest('one side that is gone in post-copy', (guest) => {
  let stage: Stage;
  let directory: string;

  beforeEach(async () => {
    stage = new Stage(guest);
    directory = join(stage.directory, 'spills');
    await mkdir(directory);
  });

  afterEach((context) => {
    if (context.task.result?.state === 'fail') console.error(stage.logs());
    return stage.end();
  });

  /** A source in post-copy that writes a spill, and its destination. */
  async function inPostcopy(more: { fault?: string; spill?: string } = {}): Promise<[Site, Site]> {
    const { fault, spill = directory } = more;
    const [source, destination] = await Promise.all([
      stage.source('source', { ...GUEST, ...(fault === undefined ? {} : { fault }) }),
      stage.destination('destination'),
    ]);
    await source.advances();
    await source.set({ ...SLOW, 'x-postcopy-spill': spill });
    // A planned death may be quicker than the answer.
    await source.migrate(listenUri(destination)).catch(() => {});
    return [source, destination];
  }

  function spillIs(source: Site, status: string): Promise<SpillReply> {
    return source
      .migration(`a spill that is ${status}`, (reply) => spillOf(reply)?.status === status)
      .then((reply) => spillOf(reply) as SpillReply);
  }

  /** The source is lost with its spill durable. */
  async function torn(): Promise<{ destination: Site; spill: string }> {
    const [source, destination] = await inPostcopy();
    const { path } = await spillIs(source, 'durable');
    await stage.kill(source);
    await destination.hasStatus('postcopy-paused');
    return { destination, spill: path };
  }

  /** What a new source says at the end: every page has come, and those that it has are the same. */
  async function completes(source: Site, destination: Site): Promise<MigrationReply> {
    await source.set({ 'max-postcopy-bandwidth': 0 });
    const reply = await source.proven();
    expect(reply['x-sterna'].verify.status).toBe('identical');
    expect(reply['x-sterna'].verify.pages).toBeGreaterThan(0);
    expect(reply['x-sterna'].verify.pages).toBeLessThan(RAM_PAGES);
    await destination.hasStatus('completed');
    await destination.advances();
    await destination.checkGuest();
    return reply;
  }

  describe('x-postcopy-spill', () => {
    test('the missing pages are durable beside the sending, and gone at the end', async () => {
      const [source, destination] = await inPostcopy();
      const spill = await spillIs(source, 'durable');
      expect(spill['written-bytes']).toBeGreaterThan(4 * 2 ** 20);
      expect(spill['durable-after-ms']).toBeGreaterThan(0);
      const image = await HalfImage.open(spill.path);
      expect(image.head).toMatchObject({ side: 'source', epoch: 2, peer: listenUri(destination) });
      await image.close();
      await source.set({ 'max-postcopy-bandwidth': 0 });
      expect((await source.proven())['x-sterna'].verify).toMatchObject({
        status: 'identical',
        pages: RAM_PAGES,
      });
      await spillIs(source, 'removed');
      expect(readdirSync(directory)).toEqual([]);
      await destination.checkGuest();
    });

    test('a directory that is not there costs the spill alone, and the record says so', async () => {
      const [source, destination] = await inPostcopy({ spill: join(directory, 'nowhere') });
      const { error } = await spillIs(source, 'failed');
      expect(error).toMatchObject({ code: 'E_FILE', detail: { systemCode: 'ENOENT' } });
      await source.set({ 'max-postcopy-bandwidth': 0 });
      expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
      await destination.checkGuest();
    });
  });

  describe('sterna source --resume-spill', () => {
    test('a new process serves what its predecessor had, and the migration completes', async () => {
      const { destination, spill } = await torn();
      const source = await stage.sourceOfSpill('source', spill);
      // Only the missing pages are here: no word of an operator lets them run.
      for (const values of [{}, { 'x-take-ownership': true }]) {
        await expect(source.qmp.execute('cont', values)).rejects.toThrow(/cannot run|runs there/);
      }
      await completes(source, destination);
      // The proof does not wait for it.
      await until('the spill to be removed', () => !existsSync(spill) || undefined);
      expect(await source.runState()).toEqual({ running: false, status: 'postmigrate' });
      await expect(source.qmp.execute('cont')).rejects.toThrow(/runs there/);
    });

    test('it may be lost again and again, at any page', async () => {
      const { destination, spill } = await torn();
      for (const fault of ['source.postcopy-page-sent@2', 'source.recover-answered']) {
        await stage.dies(await stage.sourceOfSpill('source', spill, fault));
        await destination.hasStatus('postcopy-paused');
      }
      await completes(await stage.sourceOfSpill('source', spill), destination);
    });

    test('a source that dies when its spill has just become durable is taken up from it', async () => {
      const [source, destination] = await inPostcopy({ fault: 'source.spill-durable' });
      await stage.dies(source);
      await destination.hasStatus('postcopy-paused');
      const [name] = readdirSync(directory);
      const file = join(directory, String(name));
      await completes(await stage.sourceOfSpill('source', file), destination);
    });

    test('a source that dies when its spill is removed leaves a whole guest', async () => {
      const [source, destination] = await inPostcopy({ fault: 'source.spill-removed' });
      await spillIs(source, 'durable');
      await source.set({ 'max-postcopy-bandwidth': 0 }).catch(() => {});
      await stage.dies(source);
      expect(readdirSync(directory)).toEqual([]);
      await destination.hasStatus('completed');
      await destination.advances();
      await destination.checkGuest();
    });

    test('a source that dies while it writes leaves nothing that could be taken for whole', async () => {
      const [source, destination] = await inPostcopy({ fault: 'source.spill-piece-written@3' });
      await stage.dies(source);
      const names = readdirSync(directory);
      expect(names).toEqual([expect.stringMatching(/\.spill\.partial$/)]);
      const file = join(directory, String(names[0]));
      await expect(stage.sourceOfSpill('source', file)).rejects.toMatchObject({
        detail: { log: expect.arrayContaining([expect.stringContaining('not complete')]) },
      });
      await destination.hasStatus('postcopy-paused');
      await stage.kill(destination);
    });
  });

  describe('sterna dump-half and join-halves', () => {
    test('a guest whose source never comes back is made whole from both halves', async () => {
      const { destination, spill } = await torn();
      const [dump, joined] = ['destination.half', 'guest.sterna'].map((name) =>
        join(stage.directory, name),
      ) as [string, string];
      const qmp = destination.agent.qmpAddress;
      const dumped = await runSterna(['dump-half', '--qmp', qmp, dump]);
      expect(dumped).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/at epoch 2, /) });
      expect(await destination.runState()).toEqual({ running: false, status: 'paused' });
      const halves = ['--source', spill, '--destination', dump, '--out', joined];
      const made = await runSterna(['join-halves', ...halves]);
      expect(made).toMatchObject({ exitCode: 0, stderr: '' });
      // As gone as its source: an agent in post-copy does not want to end.
      await stage.kill(destination);
      const whole = await stage.destination('destination', ['--listen', `file:${joined}`]);
      const reply = await whole.hasStatus('completed');
      expect(reply['x-sterna']).toMatchObject({
        epoch: 3,
        verify: { status: 'identical', pages: RAM_PAGES },
      });
      await whole.advances();
      await whole.checkGuest();
      // Whoever has no record of the hand-over has no business with the spill.
      await expect(stage.sourceOfSpill('stranger', spill)).rejects.toMatchObject({
        detail: { log: expect.arrayContaining([expect.stringContaining('has no record')]) },
      });
    });

    test('a guest that was dumped goes on with `cont`, and its migration too', async () => {
      const { destination, spill } = await torn();
      const dump = join(stage.directory, 'destination.half');
      const reply = await destination.qmp.execute('x-dump-half', { filename: dump });
      expect(reply).toMatchObject({ epoch: 2, 'missing-pages': expect.any(Number) });
      await destination.qmp.execute('cont');
      await completes(await stage.sourceOfSpill('source', spill), destination);
      await expect(
        destination.qmp.execute('x-dump-half', { filename: `${dump}.2` }),
      ).rejects.toThrow('Only a destination in post-copy has a half of a guest');
    });
  });
});
