import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultStateDirectory, StateDirectory } from '../../../src/control/index.ts';

describe('StateDirectory', () => {
  let parent: string;
  let path: string;
  const lockPath = () => join(path, 'agent.lock');

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'sterna-state-'));
    path = join(parent, 'a', 'b');
  });

  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it('open() creates the directory for this user only, and close() unlocks it', () => {
    const directory = StateDirectory.open(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(lockPath()).mode & 0o777).toBe(0o600);
    directory.close();
    expect(existsSync(lockPath())).toBe(false);
    expect(readdirSync(path)).toEqual(['ownership']);
    StateDirectory.open(path).close();
  });

  it('open() names the process when the directory is in use', () => {
    const directory = StateDirectory.open(path);
    expect(() => StateDirectory.open(path)).toThrowError(
      expect.objectContaining({
        code: 'E_STATE_DIRECTORY',
        message: expect.stringContaining(String(process.pid)),
        detail: { path: lockPath(), pid: process.pid },
      }),
    );
    directory.close();
  });

  it('open() takes the lock over when its process is dead', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    StateDirectory.open(path).close();
    writeFileSync(lockPath(), JSON.stringify({ pid: child.pid, startTicks: null }));
    const directory = StateDirectory.open(path);
    expect(readdirSync(path).sort()).toEqual(['agent.lock', 'ownership']);
    directory.close();
  });

  it('open() takes the lock over when its process number belongs to another process now', () => {
    StateDirectory.open(path).close();
    writeFileSync(lockPath(), JSON.stringify({ pid: process.pid, startTicks: '1' }));
    StateDirectory.open(path).close();
    expect(existsSync(lockPath())).toBe(false);
  });

  it('open() takes a lock over that cannot be read', () => {
    StateDirectory.open(path).close();
    writeFileSync(lockPath(), 'what is this?');
    StateDirectory.open(path).close();
    expect(existsSync(lockPath())).toBe(false);
  });

  it('open() says why when the path cannot be made', () => {
    writeFileSync(join(parent, 'a'), 'a file');
    expect(() => StateDirectory.open(path)).toThrowError(
      expect.objectContaining({
        code: 'E_STATE_DIRECTORY',
        detail: expect.objectContaining({ path, systemCode: 'ENOTDIR' }),
      }),
    );
  });

  it('defaultStateDirectory() follows XDG_STATE_HOME when it is absolute', () => {
    expect(defaultStateDirectory('n', { XDG_STATE_HOME: '/x' })).toBe('/x/sterna/n');
    expect(defaultStateDirectory('n', { XDG_STATE_HOME: 'x' })).toMatch(
      /\/\.local\/state\/sterna\/n$/,
    );
    expect(defaultStateDirectory('n', {})).toMatch(/\/\.local\/state\/sterna\/n$/);
  });
});
