import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  defaultCapabilities,
  defaultParameters,
  deferred,
  silentLogger,
} from '../../../src/base/index.ts';
import { MigrationHost } from '../../../src/control/migration/migration-host.ts';
import type { OutgoingRequest } from '../../../src/control/migration/migration-messages.ts';

/** The thread boundary itself, with the real worker. */

const LISTEN = {
  uri: 'tcp:127.0.0.1:0',
  expectedUuid: undefined,
  startPaused: false,
  stallTimeoutMs: 1000,
  resident: { occupied: false, uuid: undefined },
};

describe('MigrationHost', () => {
  let stateDirectory: string;

  beforeEach(() => {
    stateDirectory = mkdtempSync(join(tmpdir(), 'sterna-host-'));
    mkdirSync(join(stateDirectory, 'ownership'));
  });

  afterEach(() => rmSync(stateDirectory, { recursive: true, force: true }));

  function hostWith(died: (error: unknown) => void): MigrationHost {
    return new MigrationHost(
      { name: 'h', logLevel: 'silent', stateDirectory, security: { insecure: true }, drives: [] },
      {
        message: () => {},
        createMachine: () => Promise.reject(new Error('not asked for')),
        destroyMachine: () => Promise.resolve(),
        died,
      },
      silentLogger(),
    );
  }

  it('reports the death of the worker, and a new one does the next work', async () => {
    const death = deferred<unknown>();
    const host = hostWith((error) => death.resolve(error));
    expect(await host.listen(LISTEN)).toMatch(/^tcp:127\.0\.0\.1:[1-9]\d*$/);
    const unanswered = host.cancel();
    // Handles of no machine: the worker takes that for the defect that it is.
    const machine = {} as OutgoingRequest['machine'];
    const parameters = defaultParameters();
    const capabilities = defaultCapabilities();
    host.startOutgoing({
      uri: 'tcp:h:1',
      migrationId: 'm',
      secret: '0'.repeat(32),
      epoch: 1,
      machine,
      parameters,
      capabilities,
    });
    expect(await death.promise).toMatchObject({ code: 'E_WORKER_DIED', detail: { exitCode: 1 } });
    await unanswered.catch((error: unknown) =>
      expect(error).toMatchObject({ code: 'E_WORKER_DIED' }),
    );
    expect(await host.cancel()).toBe('nothing-runs');
    await host.close();
  });

  it('hands errors of the worker over as they are', async () => {
    const host = hostWith(() => {});
    await expect(host.listen({ ...LISTEN, uri: 'tcp:203.0.113.1:1' })).rejects.toMatchObject({
      code: 'E_CONFIG_INVALID',
      detail: { systemCode: 'EADDRNOTAVAIL' },
    });
    await expect(host.listen({ ...LISTEN, uri: 'file:/no/such/file' })).rejects.toMatchObject({
      code: 'E_FILE',
    });
    await host.close();
  });
});
