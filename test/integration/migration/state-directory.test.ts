import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import type { Site } from './site.ts';
import { listenUri, Stage } from './stage.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * Ownership cannot be recorded. Then it does not move: the guest goes on at the source, and the
 * error names the disk.
 */

withEveryGuest('a migration whose state directory fails', (guest) => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(guest);
  });

  afterEach(() => stage.end());

  /**
   * Like a disk that went away: what was a folder is none any more. Also for root, which may write
   * anything.
   */
  function loseRecords(site: Site): void {
    const records = join(stage.stateDirectory(site.name), 'ownership');
    rmSync(records, { recursive: true });
    writeFileSync(records, '');
  }

  function findRecords(site: Site): void {
    const records = join(stage.stateDirectory(site.name), 'ownership');
    rmSync(records);
    mkdirSync(records);
  }

  function sizeOfRecords(site: Site): number {
    const records = join(stage.stateDirectory(site.name), 'ownership');
    const [log = ''] = readdirSync(records);
    return statSync(join(records, log)).size;
  }

  async function failsAndGoesOn(source: Site, side: 'source' | 'destination'): Promise<void> {
    const reply = await source.over();
    expect(reply).toMatchObject({
      status: 'failed',
      'error-desc': expect.stringContaining('ownership'),
      'x-sterna': {
        owner: 'source',
        error: {
          code: 'E_STATE_DIRECTORY',
          side,
          guestOwner: 'source',
          nextStep: expect.stringContaining('state directory'),
        },
      },
    });
    await until('the guest goes on', async () => (await source.isRunning()) || undefined);
    await source.advances();
    await source.checkGuest();
  }

  async function moves(source: Site, destination: Site): Promise<void> {
    await source.migrate(listenUri(destination));
    expect((await source.proven())['x-sterna'].verify.status).toBe('identical');
    await destination.advances();
    await destination.checkGuest();
  }

  it('fails before a page moves when the destination cannot record', async () => {
    const [source, destination] = await Promise.all([
      stage.source('source'),
      stage.destination('destination'),
    ]);
    loseRecords(destination);
    const link = await stage.link(listenUri(destination), () => 'pass');
    await source.migrate(link.uri);
    await failsAndGoesOn(source, 'destination');
    expect(link.seen).not.toContain('source PASS_BEGIN');
    expect(await destination.runState()).toEqual({ running: false, status: 'inmigrate' });
    findRecords(destination);
    await moves(source, destination);
  });

  it('is refused when the source cannot read who owns its guest', async () => {
    const source = await stage.source('source');
    loseRecords(source);
    await expect(source.migrate('tcp:127.0.0.1:9')).rejects.toMatchObject({
      sternaError: { code: 'E_STATE_DIRECTORY' },
    });
    expect(await source.runState()).toEqual({ running: true, status: 'running' });
    await source.advances();
  });

  it('fails before GRANT when the source cannot record', async () => {
    const [source, destination] = await Promise.all([
      stage.source('source'),
      stage.destination('destination'),
    ]);
    const link = await stage.link(listenUri(destination), ({ name }) => {
      if (name === 'HELLO_ACK') loseRecords(source);
      return 'pass';
    });
    await source.migrate(link.uri);
    await failsAndGoesOn(source, 'source');
    expect(link.seen).not.toContain('source GRANT');
    expect(await destination.isRunning()).toBe(false);
    findRecords(source);
    await moves(source, destination);
  });

  it('fails before a page moves when the disk of the destination is full', async () => {
    const [source, destination] = await Promise.all([
      stage.source('source'),
      stage.destination('destination'),
    ]);
    limitFiles(destination, 0);
    await source.migrate(listenUri(destination));
    await failsAndGoesOn(source, 'destination');
    limitFiles(destination, undefined);
    await moves(source, destination);
  });

  it('succeeds when the disk of the source is full, for its records have had their place since it started', async () => {
    const [source, destination] = await Promise.all([
      stage.source('source'),
      stage.destination('destination'),
    ]);
    limitFiles(source, sizeOfRecords(source));
    await moves(source, destination);
    expect((await destination.query())['x-sterna'].epoch).toBe(2);
  });
});

/** No file of the agent can grow beyond that: what a full disk is to a program, without one. */
function limitFiles({ agent }: Site, bytes: number | undefined): void {
  execFileSync('prlimit', ['--pid', String(agent.pid), `--fsize=${bytes ?? 'unlimited'}:`]);
}
