import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/index.ts';
import { runCli } from '../../../src/cli/index.ts';
import { fakeContext } from '../../support/cli-context.ts';
import {
  activeReply,
  completedReply,
  postcopyFields,
  postcopyReply,
} from '../../support/query-migrate-reply.ts';
import { type Answer, type ScriptedQmp, scriptedQmp } from '../../support/scripted-qmp.ts';

/** `sterna migrate` and its companions in post-copy. The agent says what a test wants. */

let agent: ScriptedQmp | undefined;
afterEach(() => agent?.close());

const lostLink = { code: 'E_CHANNEL_RESET', message: 'Lost the connection', detail: {} };
const noLink = (waits: boolean) =>
  postcopyReply('postcopy-paused', { 'waits-for-resume': waits, 'paused-error': lostLink });

/** A thousand times as fast, so that a minute of patience takes no time. */
function fastClock(): Clock {
  const clock = systemClock();
  return {
    ...clock,
    nowMs: () => clock.nowMs() * 1000,
    sleep: (ms, signal) => clock.sleep(ms / 1000, signal),
  };
}

async function sterna(
  answer: (command: string, count: number) => Answer,
  command: string,
  ...options: readonly string[]
) {
  agent = await scriptedQmp(answer);
  const fake = fakeContext({ clock: fastClock() });
  const exitCode = runCli(fake.context, '0', [command, '--qmp', agent.address, ...options]);
  return { fake, exitCode };
}

/** Answers `query-migrate` with these one after the other, the last for ever. */
function replies(...list: readonly unknown[]): (command: string, count: number) => Answer {
  return (command, count) => ({
    return: command === 'query-migrate' ? list[Math.min(count, list.length) - 1] : {},
  });
}

/** The arguments of a command that was sent. */
function sent(name: string): unknown {
  return agent?.commands.find(({ execute }) => execute === name)?.arguments;
}

describe('sterna migrate', () => {
  const on = { capability: 'postcopy-ram', state: true };
  const off = { capability: 'postcopy-ram', state: false };
  it.each([
    [['--mode', 'postcopy'], { 'x-mode': 'postcopy' }, [on]],
    [['--mode', 'hybrid'], { 'x-mode': 'hybrid' }, [on]],
    [['--postcopy'], { 'x-mode': 'precopy' }, [on]],
    [
      ['--postcopy', '--postcopy-after-precopy'],
      { 'x-mode': 'hybrid', 'x-postcopy-after-passes': 1 },
      [on],
    ],
    [['--postcopy-after-passes', '3'], { 'x-mode': 'hybrid', 'x-postcopy-after-passes': 3 }, [on]],
    [
      ['--timeout', '2', '--timeout-postcopy'],
      { 'x-mode': 'precopy', 'x-timeout': 2000, 'x-timeout-action': 'postcopy' },
      [on],
    ],
    [
      ['--mode', 'postcopy', '--postcopy-preempt', '--postcopy-bandwidth', '10'],
      { 'max-postcopy-bandwidth': 10 * 2 ** 20 },
      [on, { capability: 'postcopy-preempt', state: true }],
    ],
    // What one migration has switched on is not in the way of the next one.
    [['--mode', 'stop'], { 'x-mode': 'stop' }, [off]],
    [['--verify', 'strict'], { 'x-verify': 'strict' }, [off]],
    [
      ['--postcopy', '--postcopy-journal', '--postcopy-spill', '/var/spill'],
      { 'x-postcopy-spill': '/var/spill' },
      [on, { capability: 'x-postcopy-journal', state: true }],
    ],
    [
      ['--no-postcopy-journal', '--no-postcopy-spill'],
      { 'x-postcopy-spill': '' },
      [{ capability: 'x-postcopy-journal', state: false }],
    ],
    [[], { 'x-mode': 'precopy' }, []],
  ] as const)('with %j asks for just that', async (options, parameters, capabilities) => {
    const { exitCode } = await sterna(
      replies(completedReply()),
      'migrate',
      ...['tcp:127.0.0.1:4444', ...options],
    );
    expect(await exitCode).toBe(0);
    expect(sent('migrate-set-parameters')).toMatchObject(parameters);
    const { capabilities: states } = sent('migrate-set-capabilities') as {
      capabilities: readonly { capability: string }[];
    };
    expect(states).toEqual(expect.arrayContaining([...capabilities]));
    if (capabilities.length === 0) {
      expect(states.map(({ capability }) => capability)).toEqual(['events']);
    }
  });

  it('refuses a rule for post-copy where no pre-copy comes before', async () => {
    const { fake, exitCode } = await sterna(
      replies(completedReply()),
      ...['migrate', 'tcp:127.0.0.1:4444', '--mode', 'stop', '--postcopy-after-precopy'],
    );
    expect(await exitCode).toBe(2);
    expect(fake.stderr()).toContain('In mode stop there is no pre-copy');
  });

  it('follows a migration through a lost link, and reports what the guest waited for', async () => {
    const { fake, exitCode } = await sterna(
      replies(activeReply(), postcopyReply(), noLink(false), completedPostcopy()),
      ...['migrate', 'tcp:127.0.0.1:4444', '--mode', 'hybrid', '--verbose'],
    );
    expect(await exitCode).toBe(0);
    expect(fake.stderr()).toContain('post-copy, 75 %');
    expect(fake.stderr()).toContain('guest waited for 200 pages (5.0 %)');
    expect(fake.stderr()).toContain('post-copy, link lost');
    expect(fake.stdout()).toMatch(
      /Post-copy +4,000 pages after the guest, 200 waited for \(5.0 %\)/,
    );
    expect(fake.stdout()).toMatch(/Waits +vCPUs blocked 30.0 ms, 20.0 ms, 0.13 ms a page; all at/);
    expect(fake.stdout()).toMatch(/Lost link +made anew 1 time, 250 ms without it/);
  });

  it.each([
    [true, 'make the link whole, then sterna migrate --postcopy-resume'],
    [false, 'the source goes on trying'],
  ])('exits with 5 when the link stays lost, waits-for-resume %s', async (waits, next) => {
    const { fake, exitCode } = await sterna(
      replies(postcopyReply(), noLink(waits)),
      ...['migrate', 'tcp:127.0.0.1:4444', '--mode', 'postcopy'],
    );
    expect(await exitCode).toBe(5);
    expect(fake.stderr()).toContain('sterna: Lost the connection [E_CHANNEL_RESET]');
    expect(fake.stderr()).toContain('the guest is at the destination; remainingPages 1000');
    expect(fake.stderr()).toContain(next);
  });

  it('ends on an interrupt in post-copy, and cancels nothing', async () => {
    const { fake, exitCode } = await sterna(
      (command, count) => {
        // The user has seen that it is post-copy.
        if (command === 'query-migrate' && count === 2) setImmediate(() => fake.interrupt());
        return { return: command === 'query-migrate' ? postcopyReply() : {} };
      },
      ...['migrate', 'tcp:127.0.0.1:4444', '--mode', 'postcopy'],
    );
    expect(await exitCode).toBe(130);
    expect(agent?.commands.map(({ execute }) => execute)).not.toContain('migrate_cancel');
    expect(fake.stderr()).toContain('which goes on without this command');
    expect(fake.stderr()).toContain('sterna migrate --postcopy-resume');
  });

  it('ends so too when the agent says that it is too late to cancel', async () => {
    const ours = { code: 'E_STATE', 'guest-owner': 'destination', phase: 'postcopy' };
    const { fake, exitCode } = await sterna(
      (command) => {
        if (command === 'migrate_cancel') {
          return { error: { class: 'GenericError', desc: 'Too late', 'x-sterna': ours } };
        }
        if (command === 'query-migrate') setImmediate(() => fake.interrupt());
        return { return: command === 'query-migrate' ? activeReply({ status: 'device' }) : {} };
      },
      ...['migrate', 'tcp:127.0.0.1:4444', '--mode', 'postcopy'],
    );
    expect(await exitCode).toBe(130);
    expect(fake.stderr()).toContain('the guest is at the destination');
  });

  it('exits with 5 when the agent is lost in post-copy: the owner is known', async () => {
    const { fake, exitCode } = await sterna(
      (command, count) => {
        if (command === 'query-migrate' && count === 2) setImmediate(() => agent?.cut());
        return { return: command === 'query-migrate' ? postcopyReply() : {} };
      },
      ...['migrate', 'tcp:127.0.0.1:4444', '--mode', 'postcopy'],
    );
    expect(await exitCode).toBe(5);
    expect(fake.stderr()).toContain('only it has the pages that have not come');
  });

  it('--postcopy-resume goes on with a paused one, and follows it', async () => {
    const { exitCode } = await sterna(
      replies(noLink(true), noLink(true), postcopyReply(), completedPostcopy()),
      ...['migrate', '--postcopy-resume', 'tcp:127.0.0.1:5555'],
    );
    expect(await exitCode).toBe(0);
    expect(sent('migrate')).toEqual({ resume: true, uri: 'tcp:127.0.0.1:5555' });
    expect(sent('migrate-set-parameters')).toBeUndefined();
  });

  it('--postcopy-resume only follows one that has its link', async () => {
    const { exitCode } = await sterna(
      replies(postcopyReply(), completedPostcopy()),
      ...['migrate', '--postcopy-resume'],
    );
    expect(await exitCode).toBe(0);
    expect(agent?.commands.map(({ execute }) => execute)).not.toContain('migrate');
  });
});

describe('sterna recover', () => {
  const destination = {
    ...postcopyReply('postcopy-paused'),
    'socket-address': [{ type: 'inet', host: '127.0.0.1', port: '4711' }],
    'x-sterna': { side: 'destination', postcopy: postcopyFields() },
  };

  it.each([
    [[], 'tcp:127.0.0.1:4711'],
    [['tcp:127.0.0.1:0'], 'tcp:127.0.0.1:0'],
  ])('at a destination with %j listens and says where', async (operands, uri) => {
    const { fake, exitCode } = await sterna(replies(destination), 'recover', ...operands);
    expect(await exitCode).toBe(0);
    expect(sent('migrate-recover')).toEqual({ uri });
    expect(fake.stdout()).toBe('tcp:127.0.0.1:4711\n');
  });

  it('at a source connects again', async () => {
    const { fake, exitCode } = await sterna(replies(noLink(true)), 'recover');
    expect(await exitCode).toBe(0);
    expect(sent('migrate')).toEqual({ resume: true });
    expect(fake.stdout()).toBe('');
  });

  it('--take-ownership takes the guest', async () => {
    const { fake, exitCode } = await sterna(replies(noLink(true)), 'recover', '--take-ownership');
    expect(await exitCode).toBe(0);
    expect(sent('cont')).toEqual({ 'x-take-ownership': true });
    expect(fake.stderr()).toContain('The guest runs here');
  });

  it('--take-ownership with a URI is refused, and nothing is sent', async () => {
    const operands = ['tcp:127.0.0.1:4711', '--take-ownership'];
    const { fake, exitCode } = await sterna(replies(noLink(true)), 'recover', ...operands);
    expect(await exitCode).toBe(2);
    expect(fake.stderr()).toContain('connects to no URI');
    expect(agent?.commands).toEqual([]);
  });
});

it.each([
  ['postcopy', 'migrate-start-postcopy'],
  ['pause-migration', 'migrate-pause'],
])('sterna %s is %s', async (command, execute) => {
  const { exitCode } = await sterna(replies({}), command);
  expect(await exitCode).toBe(0);
  expect(agent?.commands).toEqual([{ execute }]);
});

describe('sterna info', () => {
  it('shows what a destination knows of post-copy', async () => {
    const reply = {
      ...postcopyReply(),
      'postcopy-latency-dist': [0, 0, 0, 0, 0, 0, 0, 120, 70, 0, 0, 10],
      'x-sterna': {
        side: 'destination',
        owner: 'destination',
        postcopy: postcopyFields({ brownout: [1, 0.5, 0, 0], 'brownout-span-ms': 100 }),
      },
    };
    const { fake, exitCode } = await sterna(replies(reply), 'info');
    expect(await exitCode).toBe(0);
    const lines = fake.stdout().split('\n');
    expect(lines[0]).toBe('Job type:         Bounded');
    expect(lines).toContain('Postcopy requests: 200');
    expect(lines).toContain('Pages missing:    1000');
    expect(lines).toContain('Wait times:       128 us 120, 256 us 70, 2 ms 10');
    expect(lines).toContain('Brown-out:        █▅▁▁ blocked time, 100 ms each, at most 100 %');
  });
});

function completedPostcopy(): Record<string, unknown> {
  const done = completedReply();
  const blocked = { 'blocktime-ms': 5, 'vcpu-blocktime-ms': [30, 20], 'latency-ms': 0.125 };
  const once = { remaining: 0, recoveries: 1, 'paused-ms': 250 };
  const postcopy = postcopyFields({ ...once, ...blocked });
  return { ...done, 'x-sterna': { ...(done['x-sterna'] as object), postcopy } };
}
