import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { listenUri, Stage } from './stage.ts';
import { runSterna } from './sterna-command.ts';
import { BUSY } from './test-guest.ts';

const EXAMPLE = fileURLToPath(new URL('../../../examples/policy.mjs', import.meta.url));
/** Faster than the links below: 1000 pages written all over, again and again. */
const NEVER_QUIET = 'memwrite,fill=8M,hot=4M,rate=50000,words=512,step=8';
const MIB = 2 ** 20;

interface Fields {
  readonly [name: string]: unknown;
}

describe('policies', () => {
  const stage = new Stage();
  afterAll(() => stage.end());
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(stage.logs());
  });

  const pairOf = async (name: string, workload: string) => {
    const pair = await Promise.all([
      stage.source(`${name}-source`, { workload }),
      stage.destination(`${name}-destination`),
    ]);
    await until('the guest has filled its RAM', async () => {
      const { booted } = (await pair[0].qmp.execute('x-guest-info')) as { booted: boolean };
      return booted || undefined;
    });
    return pair;
  };

  it('--policy FILE asks a module of the user', async () => {
    const [source, destination] = await pairOf('file', BUSY);
    const { exitCode, stdout } = await runSterna([
      ...['migrate', '--qmp', source.agent.qmpAddress, '--json', '--policy', EXAMPLE],
      listenUri(destination),
    ]);
    expect(exitCode).toBe(0);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!) as { info: Fields };
    const { policy, verify } = result.info['x-sterna'] as Record<string, Fields>;
    expect(policy).toMatchObject({ name: EXAMPLE, decision: { action: 'stop-and-copy' } });
    expect(policy).not.toHaveProperty('fallback-reason');
    expect(verify!.status).toBe('identical');
  });

  it('a module that loops is replaced, and the guest arrives', async () => {
    const [source, destination] = await pairOf('loop', BUSY);
    const path = join(stage.directory, 'loop.mjs');
    writeFileSync(path, 'export const decide = () => { for (;;); };');
    const { exitCode, stdout } = await runSterna([
      ...['migrate', '--qmp', source.agent.qmpAddress, '--policy', path],
      listenUri(destination),
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/Policy +auto, instead of the one asked for: No answer of the policy/);
    expect(stdout).toContain('RAM identical');
  });

  it('auto-converge slows a real guest, says so, and lets it go after a cancel', async () => {
    const [source, destination] = await pairOf('throttle', NEVER_QUIET);
    await source.qmp.execute('migrate-set-capabilities', {
      capabilities: [{ capability: 'auto-converge', state: true }],
    });
    await source.set({ 'max-bandwidth': 2 * MIB, 'downtime-limit': 1 });
    await source.migrate(listenUri(destination));
    const reply = await until(
      'the guest is slowed',
      async () => {
        const info = (await source.qmp.execute('query-migrate')) as Fields;
        const { diagnosis } = info['x-sterna'] as Record<string, Fields>;
        // A pass that other work of the host has held up is not the limit's.
        const isHeld = diagnosis?.verdict === 'bandwidth-limited';
        return isHeld && info['cpu-throttle-percentage'] !== undefined ? info : undefined;
      },
      60_000,
    );
    expect(reply['cpu-throttle-percentage']).toBeGreaterThanOrEqual(20);
    const info = await runSterna(['info', '--qmp', source.agent.qmpAddress]);
    expect(info.stdout).toMatch(/Diagnosis: +does not converge under its max-bandwidth/);
    await source.qmp.execute('migrate_cancel');
    const ended = await until('it is cancelled', async () => {
      const now = (await source.qmp.execute('query-migrate')) as Fields;
      return now.status === 'cancelled' ? now : undefined;
    });
    expect(ended).not.toHaveProperty('cpu-throttle-percentage');
    const { throttle } = ended['x-sterna'] as Record<string, Fields>;
    expect(throttle!['mean-percentage']).toBeGreaterThan(0);
  }, 90_000);
});
