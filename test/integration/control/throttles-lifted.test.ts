import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentControl } from '../../../src/control/agent-control.ts';
import type { Agent, GuestOptions } from '../../../src/control/index.ts';
import { THROTTLE, THROTTLE_BY_LIMIT } from '../../../src/guestmem/control-block.ts';
import { ControlBlock } from '../../../src/guestmem/index.ts';
import { until } from '../../support/until.ts';
import { AgentHarness, type Driven } from './agent-harness.ts';

/**
 * What slows a guest down is set by the migration worker, in memory that outlives it: when that
 * dies, the main thread lets the guest go.
 */

const BUSY: GuestOptions = {
  ...{ ramBytes: 16 * 2 ** 20, vcpuCount: 2, seed: 1 },
  workload: 'memwrite,fill=8M,hot=4M,rate=50000,words=512,step=8',
};

/** A pass takes seconds, and a few are needed. */
const SLOWED_LIMIT_MS = 60_000;

/** Percent asleep, of each vCPU. */
function percents(agent: Agent, word: typeof THROTTLE | typeof THROTTLE_BY_LIMIT): number[] {
  // The one agent that there is also has what its commands need.
  const handles = (agent as unknown as AgentControl).guests.current?.handles();
  if (handles === undefined) throw new Error('There is no guest');
  const block = new ControlBlock(handles.control);
  return Array.from({ length: block.vcpuCount }, (_, vcpu) =>
    Atomics.load(block.words, block.vcpuWord(vcpu, word)),
  );
}

/** As a defect would end it: without a word. */
async function killWorker(agent: Agent): Promise<void> {
  // A test's look into the host: nothing else ends the worker from outside.
  const { host } = agent as unknown as { host: { worker: Worker | undefined } };
  if (host.worker === undefined) throw new Error('No worker runs');
  await host.worker.terminate();
}

describe('throttles, when the migration worker dies', () => {
  let harness: AgentHarness;
  let source: Driven;

  beforeEach(async () => {
    harness = new AgentHarness();
    source = await harness.source('source', BUSY);
    await until('the guest has filled its RAM', async () => {
      const { booted } = (await source.qmp.execute('x-guest-info')) as { booted: boolean };
      return booted || undefined;
    });
  });

  afterEach(() => harness.end());

  it('are lifted of a dirty limit, which is gone with it', async () => {
    const { agent, qmp } = source;
    await qmp.execute('migrate-set-parameters', { 'x-vcpu-dirty-limit-period': 50 });
    await qmp.execute('set-vcpu-dirty-limit', { 'dirty-rate': 1 });
    await until('both vCPUs are slowed', async () => {
      return percents(agent, THROTTLE_BY_LIMIT).every((percent) => percent > 0) || undefined;
    });
    await killWorker(agent);
    await until('both are let go', async () => {
      return percents(agent, THROTTLE_BY_LIMIT).every((percent) => percent === 0) || undefined;
    });
    expect(await qmp.execute('query-vcpu-dirty-limit')).toEqual([]);
    expect(await qmp.execute('query-status')).toMatchObject({ running: true });
  }, 60_000);

  it.each([
    ['auto-converge', 2],
    // Faster, so that the few pages of a pass are more than the limit.
    ['dirty-limit', 20],
  ] as const)(
    'are lifted of %s in a migration, and the guest goes on here',
    async (capability, bandwidthMib) => {
      const { agent, qmp } = source;
      const destination = await harness.destination('destination');
      const capabilities = [{ capability, state: true }];
      await qmp.execute('migrate-set-capabilities', { capabilities });
      await qmp.execute('migrate-set-parameters', {
        ...{
          'cpu-throttle-initial': 50,
          'max-bandwidth': bandwidthMib * 2 ** 20,
          'downtime-limit': 1,
        },
        'x-vcpu-dirty-limit-period': 50,
      });
      await qmp.execute('migrate', { uri: destination.agent.ready.listen ?? '' });
      const isSlowed = () => percents(agent, THROTTLE).some((percent) => percent > 0) || undefined;
      await until('the guest is slowed', isSlowed, SLOWED_LIMIT_MS);
      await killWorker(agent);
      const failed = await source.migration(({ status }) => status === 'failed');
      expect(failed['x-sterna']).toMatchObject({
        owner: 'source',
        error: { code: 'E_WORKER_DIED', guestOwner: 'source' },
      });
      expect(percents(agent, THROTTLE)).toEqual([0, 0]);
      expect(percents(agent, THROTTLE_BY_LIMIT)).toEqual([0, 0]);
      expect(await qmp.execute('query-status')).toMatchObject({ running: true });
    },
    120_000,
  );
});
