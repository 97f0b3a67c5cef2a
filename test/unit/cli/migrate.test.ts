import { afterEach, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import { fakeContext } from '../../support/cli-context.ts';
import { activeReply, completedReply, sternaFields } from '../../support/query-migrate-reply.ts';
import { type Answer, type ScriptedQmp, scriptedQmp } from '../../support/scripted-qmp.ts';

let agent: ScriptedQmp | undefined;
afterEach(() => agent?.close());

/**
 * Answers `query-migrate` with these one after the other, the last for ever, and everything else
 * with `{}`.
 */
function replies(...list: readonly unknown[]): (command: string, count: number) => Answer {
  return (command, count) => ({
    return: command === 'query-migrate' ? list[Math.min(count, list.length) - 1] : {},
  });
}

async function migrate(
  answer: (command: string, count: number) => Answer,
  ...options: readonly string[]
) {
  agent = await scriptedQmp(answer);
  const fake = fakeContext();
  const argv = ['migrate', '--qmp', agent.address, 'tcp:127.0.0.1:4444', ...options];
  const exitCode = runCli(fake.context, '0.0.0', argv);
  return { fake, exitCode };
}

test('sterna migrate sets, starts, waits for the comparison and reports', async () => {
  const verify = { status: 'running', pages: 0 };
  const comparing = completedReply({ 'x-sterna': sternaFields({ verify, owner: 'destination' }) });
  const { fake, exitCode } = await migrate(
    replies(activeReply(), comparing, completedReply()),
    ...['--live', '--bandwidth', '125', '--comp-methods', 'xbzrle', '--verbose'],
  );
  expect(await exitCode).toBe(0);
  expect(fake.stdout()).toContain('RAM identical: 65536 pages');
  expect(fake.stderr()).toContain('comparing RAM');
  expect(agent?.commands.slice(0, 3)).toEqual([
    {
      execute: 'migrate-set-capabilities',
      arguments: {
        capabilities: [
          { capability: 'events', state: true },
          { capability: 'xbzrle', state: true },
        ],
      },
    },
    {
      execute: 'migrate-set-parameters',
      arguments: {
        'x-mode': 'precopy',
        'x-timeout': 0,
        'x-timeout-action': 'suspend',
        'max-bandwidth': 125 * 2 ** 20,
      },
    },
    { execute: 'migrate', arguments: { uri: 'tcp:127.0.0.1:4444' } },
  ]);
});

test('sterna migrate --json ends with one result object', async () => {
  const { fake, exitCode } = await migrate(replies(completedReply()), '--json');
  expect(await exitCode).toBe(0);
  const lines = fake
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatchObject({ event: 'result', 'exit-code': 0, info: { downtime: 8 } });
  expect(fake.stderr()).toBe('');
});

test('sterna migrate cancels on an interrupt and exits with 130', async () => {
  let cancelled = false;
  const { fake, exitCode } = await migrate((command) => {
    if (command === 'migrate_cancel') cancelled = true;
    if (command !== 'query-migrate') return { return: {} };
    // The user becomes impatient when the first reply is on its way.
    if (!cancelled) setImmediate(() => fake.interrupt());
    return { return: activeReply({ status: cancelled ? 'cancelled' : 'active' }) };
  });
  expect(await exitCode).toBe(130);
  expect(agent?.commands.map(({ execute }) => execute)).toContain('migrate_cancel');
  expect(fake.stderr()).toContain('the guest is at the source');
});

test('sterna migrate reports what happened when it was too late to cancel', async () => {
  let interrupted = false;
  const { fake, exitCode } = await migrate((command) => {
    if (command === 'migrate_cancel') {
      interrupted = true;
      return { error: { class: 'GenericError', desc: 'Too late' } };
    }
    if (command !== 'query-migrate') return { return: {} };
    if (!interrupted) setImmediate(() => fake.interrupt());
    return { return: interrupted ? completedReply() : activeReply({ status: 'device' }) };
  });
  expect(await exitCode).toBe(0);
  expect(fake.stdout()).toContain('RAM identical');
});

test('sterna migrate exits with 4 when the agent is lost on the way', async () => {
  const { fake, exitCode } = await migrate((command) => {
    if (command === 'query-migrate') setImmediate(() => agent?.cut());
    return { return: command === 'query-migrate' ? activeReply() : {} };
  });
  expect(await exitCode).toBe(4);
  expect(fake.stderr()).toContain('[E_OWNERSHIP_UNKNOWN]');
  expect(fake.stderr()).toContain('which side owns the guest is not known');
  expect(fake.stderr()).toContain('sterna info');
});

test('sterna migrate exits with 1 and the agent’s words when the command is refused', async () => {
  const error = {
    class: 'GenericError',
    desc: 'A migration is already running',
    'x-sterna': { code: 'E_STATE', 'next-step': 'Wait for it.', 'guest-owner': 'source' },
  };
  const { fake, exitCode } = await migrate((command) =>
    command === 'migrate' ? { error } : { return: {} },
  );
  expect(await exitCode).toBe(1);
  expect(fake.stderr()).toBe(
    'sterna: A migration is already running [E_STATE]\n  the guest is at the source\n  next: Wait for it.\n',
  );
});

test('sterna info prints the labels, and --completed refuses what has not ended', async () => {
  agent = await scriptedQmp(replies(activeReply()));
  const fake = fakeContext();
  expect(await runCli(fake.context, '0.0.0', ['info', '--qmp', agent.address])).toBe(0);
  expect(fake.stdout()).toMatch(/^Job type: {9}Unbounded\n/);
  expect(await runCli(fake.context, '0.0.0', ['info', '--qmp', agent.address, '--completed'])).toBe(
    1,
  );
});

test('sterna check resumes a guest that ran, also when the check fails', async () => {
  agent = await scriptedQmp((command) => {
    if (command === 'query-status') return { return: { running: true, status: 'running' } };
    const problems = ['page 7 is stale'];
    return { return: command === 'x-check-guest' ? { ok: false, pages: 9, problems } : {} };
  });
  const fake = fakeContext();
  expect(await runCli(fake.context, '0.0.0', ['check', '--qmp', agent.address])).toBe(3);
  expect(fake.stdout()).toContain('page 7 is stale');
  expect(agent.commands.map(({ execute }) => execute)).toEqual([
    'query-status',
    'stop',
    'x-check-guest',
    'cont',
  ]);
});

test('sterna migrate says that the guest ended when its agent ended with it', async () => {
  const { fake, exitCode } = await migrate((command, count) => {
    if (command === 'query-migrate' && count === 2) {
      agent?.emit('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
      agent?.cut();
    }
    return { return: command === 'query-migrate' ? activeReply() : {} };
  });
  expect(await exitCode).toBe(1);
  expect(fake.stderr()).toContain('E_GUEST_ENDED');
  expect(fake.stderr()).toContain('nothing left to migrate');
});
