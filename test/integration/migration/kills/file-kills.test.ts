import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SternaError } from '../../../../src/base/index.ts';
import { withEveryGuest } from '../test-guest.ts';
import { KILL_LIMIT_MS } from './kill-case.ts';
import { KillSite } from './kill-site.ts';

/** A file holds the guest from the moment at which it has its name. */
withEveryGuest('kill -9 while a guest goes to a file', (guest) => {
  let site: KillSite;

  beforeEach(() => {
    site = new KillSite(guest);
  });

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(site.logs());
    return site.end();
  });

  async function refused(): Promise<void> {
    const thrown: unknown = await site.start('source').catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(SternaError);
    const { detail } = thrown as SternaError;
    expect(JSON.stringify(detail)).toMatch(/E_OWNERSHIP_UNKNOWN|E_STATE/);
  }

  it(
    'source.file-before-rename leaves no file, and an operator takes the guest back',
    async () => {
      await site.start('source', 'source.file-before-rename');
      await site.migrate({ 'x-mode': 'stop' }, { uri: `file:${site.file}` });
      await site.hasDied('source');
      expect(existsSync(site.file)).toBe(false);
      expect(site.record('source')).toBe('granting 2');
      await refused();
      await site.start('source', undefined, ['--take-ownership']);
      expect(await site.runners()).toEqual(['source']);
      expect(site.record('source')).toBe('owner 3');
    },
    KILL_LIMIT_MS,
  );

  it(
    'source.file-after-rename leaves a file that can be loaded, and the source stays away',
    async () => {
      await site.start('source', 'source.file-after-rename');
      await site.migrate({ 'x-mode': 'stop' }, { uri: `file:${site.file}` });
      await site.hasDied('source');
      await refused();
      await site.start('destination', undefined, [], `file:${site.file}`);
      await site.settled('destination');
      expect(await site.runners()).toEqual(['destination']);
      await guest.check(site.place('destination'));
    },
    KILL_LIMIT_MS,
  );
});
