import { describe, expect, test } from 'vitest';
import type { PolicyModule, PolicyRound } from '../../../src/source/index.ts';
import { EnginePair, type PairOptions } from '../../support/engine-pair.ts';
import { type FakeMachineHooks, ramDifferences } from '../../support/fake-machine.ts';
import { dirtySparsely, dirtyWholly, fillGuest } from '../../support/guest-script.ts';

const LINK = { bandwidthBytesPerSecond: 100e6, latencyMs: 0.1 };
const PATH = '/policies/mine.mjs';

/** Dirty at the ends of the first passes, and quiet then. */
const THREE_ROUNDS: FakeMachineHooks = {
  beforeFlip: (machine, flip) => {
    if (flip > 1 && flip < 5) dirtySparsely(machine, flip, 60 - 10 * flip);
  },
};
const NEVER_QUIET: FakeMachineHooks = {
  beforeFlip: (machine, flip) => dirtyWholly(machine, flip, 200),
};

async function migrate(options: PairOptions) {
  const pair = new EnginePair({ link: LINK, sourceHooks: THREE_ROUNDS, ...options });
  fillGuest(pair.machine);
  return { pair, result: await pair.run() };
}

function policyModule(change: Partial<PolicyModule>) {
  const asked: PolicyRound[] = [];
  const closed: string[] = [];
  const module: PolicyModule = {
    begin: change.begin ?? (async () => undefined),
    decide: async (round) => {
      asked.push(round);
      return (await change.decide?.(round)) ?? { action: 'iterate' };
    },
    close: () => closed.push('closed'),
  };
  return { module, asked, closed };
}

describe('x-policy', () => {
  test.each(['auto', 'clark', 'qemu', 'svard'])('%s moves a guest, RAM equal', async (policy) => {
    const { pair, result } = await migrate({ parameters: { policy } });
    expect(result.source).toEqual({ status: 'completed', error: undefined });
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
    expect(result.sourceInfo.policy).toMatchObject({
      name: policy,
      fallbackReason: undefined,
      lastDecision: { action: 'stop-and-copy', reason: 'converged' },
    });
  });

  test('svard switches delta compression on, and says so', async () => {
    const { result } = await migrate({ parameters: { policy: 'svard' } });
    expect(result.sourceInfo.policy?.enabled).toEqual(['xbzrle']);
    expect(result.sourceInfo.xbzrle).toBeDefined();
  });

  test('clark begins at its lowest rate, and leaves the limit to the switch', async () => {
    const { result } = await migrate({ parameters: { policy: 'clark' } });
    const [first] = result.sourceInfo.passes;
    const rate = (first!.sentBytes * 1000) / first!.durationMs;
    expect(rate / 12.5e6).toBeGreaterThan(0.9);
    expect(rate / 12.5e6).toBeLessThan(1.1);
  });

  test('a pace of a policy outlives a new limit of the user, and not the other way round', async () => {
    const pair = new EnginePair({ link: LINK, parameters: { policy: 'clark' } });
    fillGuest(pair.machine);
    void pair.clock
      .sleep(20)
      .then(() => pair.outgoing.setParameters({ maxBandwidthBytesPerSecond: 80e6 }));
    await pair.run();
    const [first] = pair.outgoing.info().passes;
    expect((first!.sentBytes * 1000) / first!.durationMs).toBeLessThan(12.5e6 * 1.1);
  });
});

describe("a user's policy", () => {
  test('is told of each round, and decides', async () => {
    const { module, asked, closed } = policyModule({
      decide: async ({ pass }) =>
        pass < 4 ? undefined : { action: 'stop-and-copy', reason: 'my-own', because: 'enough' },
    });
    const { result } = await migrate({ parameters: { policy: PATH }, policyModule: module });
    expect(result.source.status).toBe('completed');
    expect(asked.map(({ pass }) => pass).slice(0, 4)).toEqual([1, 2, 3, 4]);
    expect(asked[3]!.history.map(({ dirtiedPages }) => dirtiedPages)).toEqual([40, 30, 20, 0]);
    expect(asked[3]!.ramPages).toBe(301);
    expect(closed).not.toEqual([]);
    expect(result.sourceInfo.policy).toMatchObject({
      name: PATH,
      fallbackReason: undefined,
      lastDecision: { reason: 'my-own', because: 'enough' },
    });
  });

  test.each<[string, Partial<PolicyModule>, string]>([
    [
      'cannot be loaded',
      { begin: () => Promise.reject(new Error("Cannot find module '/policies/mine.mjs'")) },
      'Cannot find module',
    ],
    [
      'throws',
      { decide: () => Promise.reject(new Error('figures is not defined')) },
      'not defined',
    ],
    ['loops', { decide: () => new Promise(() => {}) }, 'No answer of the policy within 500 ms'],
    ['loops at once', { begin: () => new Promise(() => {}) }, 'within 3000 ms'],
    ['returns nonsense', { decide: async () => ({ action: 'stop' }) }, 'action must be'],
    [
      'wants what is not allowed',
      { decide: async () => ({ action: 'postcopy', reason: 'x' }) },
      'not allowed',
    ],
  ])('that %s is replaced by auto, and the guest feels nothing', async (_, change, reason) => {
    const { module, asked, closed } = policyModule(change);
    const { pair, result } = await migrate({ parameters: { policy: PATH }, policyModule: module });
    expect(result.source).toEqual({ status: 'completed', error: undefined });
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
    expect(pair.runningMachines()).toEqual([pair.arrived]);
    expect(asked.length).toBeLessThanOrEqual(1);
    expect(closed).not.toEqual([]);
    expect(result.sourceInfo.policy).toMatchObject({
      name: 'auto',
      fallbackReason: expect.stringContaining(reason),
    });
  });

  test('that nobody can load is replaced by auto', async () => {
    const { result } = await migrate({ parameters: { policy: PATH } });
    expect(result.source.status).toBe('completed');
    expect(result.sourceInfo.policy).toMatchObject({
      name: 'auto',
      fallbackReason: expect.stringContaining('nobody here'),
    });
  });

  test('does not hold up a cancel', async () => {
    const { module } = policyModule({ begin: () => new Promise(() => {}) });
    const pair = new EnginePair({ link: LINK, parameters: { policy: PATH }, policyModule: module });
    fillGuest(pair.machine);
    void pair.clock.sleep(100).then(() => pair.outgoing.cancel());
    const { source, sourceInfo } = await pair.run();
    expect(source.status).toBe('cancelled');
    expect(sourceInfo.totalTimeMs).toBeLessThan(300);
    expect(sourceInfo.policy?.fallbackReason).toBeUndefined();
  });

  test('that goes on for ever is ended by the timeout of the user', async () => {
    const { module } = policyModule({});
    const { result } = await migrate({
      parameters: { policy: PATH, timeoutMs: 100, timeoutAction: 'suspend' },
      policyModule: module,
      sourceHooks: NEVER_QUIET,
    });
    expect(result.source.status).toBe('completed');
    expect(result.sourceInfo.policy?.lastDecision?.reason).toBe('timeout');
  });

  test('may give up, and the guest goes on where it is', async () => {
    const { module } = policyModule({ decide: async () => ({ action: 'give-up', reason: 'no' }) });
    const { pair, result } = await migrate({
      parameters: { policy: PATH },
      policyModule: module,
    });
    expect(result.source.error).toMatchObject({
      code: 'E_PRECOPY_TIMEOUT',
      message: 'The policy gave the migration up',
      detail: { reason: 'no' },
    });
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });
});
