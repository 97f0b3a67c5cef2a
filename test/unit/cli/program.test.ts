import { describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import { fakeContext } from '../../support/cli-context.ts';

async function run(...argv: string[]) {
  const fake = fakeContext();
  const exitCode = await runCli(fake.context, '1.2.3', argv);
  return { exitCode, stdout: fake.stdout(), stderr: fake.stderr() };
}

describe('runCli() answers wrong usage with exit code 2, one line and the next step', () => {
  test.each([
    ['migrate', ['migrate']],
    ['migrate', ['migrate', '--qmp', 'unix:/q']],
    ['migrate', ['migrate', 'tcp:127.0.0.1:1']],
    ['migrate', ['migrate', '--qmp', 'unix:/q', 'nonsense']],
    ['migrate', ['migrate', '--qmp', 'unix:/q', 'tcp:h:1', '--mode', 'magic']],
    ['migrate', ['migrate', '--qmp', 'unix:/q', 'tcp:h:1', '--bandwidth', 'fast']],
    [
      'migrate',
      ['migrate', '--qmp', 'unix:/q', 'tcp:h:1', '--timeout-cancel', '--timeout-suspend'],
    ],
    ['migrate', ['migrate', '--qmp', 'unix:/q', 'tcp:h:1', '--timeout-postcopy']],
    ['migrate', ['migrate', '--qmp', 'unix:/q', 'tcp:h:1', '--no-such-option']],
    ['source', ['source', '--name', 'a']],
    ['source', ['source', '--name', 'a', '--ram', '64M', '--resume-spill', 'f']],
    ['source', ['source', '--name', '../a', '--ram', '64M', '--workload', 'idle']],
    ['source', ['source', '--name', 'a', '--ram', '1M', '--workload', 'idle']],
    ['source', ['source', '--name', 'a', '--ram', '64M', '--workload', 'idle', '--vcpus', '17']],
    ['destination', ['destination', '--name', 'a']],
    ['destination', ['destination', '--name', 'a', '--listen', 'unix:/x']],
    ['dump', ['dump']],
    ['demo', ['demo', '--ram', 'huge']],
    ['info', ['info', '--qmp', 'q.sock']],
  ])('sterna %s: %j', async (command, argv) => {
    const { exitCode, stdout, stderr } = await run(...argv);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^sterna: \S[^\n]*\n {2}next: [^\n]+\n$/);
    expect(stderr).toContain(`next: sterna ${command} --help`);
  });

  test('an unknown command', async () => {
    const { exitCode, stderr } = await run('migarte');
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/unknown command 'migarte'.*Did you mean migrate/);
  });

  test('no command at all: the help', async () => {
    const { exitCode, stderr } = await run();
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^Usage: sterna/);
    expect(stderr).not.toContain('sterna: ');
  });

  test('a setting that is out of range', async () => {
    const { exitCode, stderr } = await run('set', '--qmp', 'unix:/q', 'downtime-limit=-5');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('from 0 to 2000000 ms');
  });

  test('a port that other hosts could reach', async () => {
    const { exitCode, stderr } = await run(
      'destination',
      '--name',
      'a',
      '--listen',
      'tcp:0.0.0.0:0',
    );
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--insecure');
  });
});

test('runCli() prints help and version with exit code 0', async () => {
  expect(await run('--version')).toEqual({ exitCode: 0, stdout: '1.2.3\n', stderr: '' });
  const help = await run('migrate', '--help');
  expect(help.exitCode).toBe(0);
  expect(help.stdout).toContain('--timeout-suspend');
  expect((await run('--help')).stdout).toContain('Exit codes:');
});

test('runCli() fails with exit code 1 when nobody answers at the control socket', async () => {
  const { exitCode, stderr } = await run('info', '--qmp', 'unix:/nonexistent/qmp.sock');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^sterna: .*\[E_CHANNEL_REFUSED\]/);
  expect(stderr).toContain('/nonexistent/qmp.sock');
  expect(stderr).toContain('next: Check that the agent runs');
});

test('runCli() fails with exit code 1 when the file to dump is not there', async () => {
  const { exitCode, stderr } = await run('dump', '/nonexistent/capture');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('sterna: Cannot read /nonexistent/capture [E_FILE]');
});
