import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import { encodeTrace } from '../../../src/guestmem/index.ts';
import { fakeContext } from '../../support/cli-context.ts';
import { completedReply, sternaFields } from '../../support/query-migrate-reply.ts';
import { type ScriptedQmp, scriptedQmp } from '../../support/scripted-qmp.ts';
import { type SweepOptions, sweep } from '../experiments/plan/guests.ts';

let agent: ScriptedQmp | undefined;
afterEach(() => agent?.close());

const MIB = 2 ** 20;
const URI = 'tcp:127.0.0.1:4444';
/** 16 MiB of RAM that the guest does not touch. */
const IDLE: SweepOptions = { ramPages: 4096, hotPages: 64, pagesPerInterval: 0 };
/** 40 MiB/s in 4 MiB, 100 bytes of each page. */
const SPARSE: SweepOptions = {
  ...{ ramPages: 4096, hotPages: 1024, pagesPerInterval: 102, deltaBytes: 100 },
};

/** An agent with that guest, over a link of 20 MiB/s, whose migration then is `over`. */
async function migrate(guest: SweepOptions, over: Record<string, unknown>, ...options: string[]) {
  const answers: Readonly<Record<string, (values: Record<string, unknown>) => unknown>> = {
    'x-probe-link': () => ({ 'bytes-per-second': 20 * MIB, 'round-trip-us': 200 }),
    'x-record-trace-start': ({ filename }) => {
      writeFileSync(String(filename), encodeTrace(sweep(guest)));
      return {};
    },
    'x-query-record-trace': () => ({ status: 'completed' }),
    'query-migrate-parameters': () => ({ 'downtime-limit': 50, 'x-codec': 'none' }),
    'query-migrate-capabilities': () => [],
    'query-migrate': () => over,
  };
  const scripted = await scriptedQmp((command) => {
    const values = scripted.commands.at(-1)?.arguments as Record<string, unknown>;
    return { return: answers[command]?.(values) ?? {} };
  });
  agent = scripted;
  const fake = fakeContext();
  const argv = ['migrate', '--qmp', scripted.address, URI, '--plan', ...options];
  const exitCode = await runCli(fake.context, '0.0.0', argv);
  const argumentsOf = (name: string) =>
    scripted.commands.find(({ execute }) => execute === name)?.arguments as Record<string, unknown>;
  return {
    ...{ exitCode, stdout: fake.stdout(), stderr: fake.stderr(), scripted },
    parameters: argumentsOf('migrate-set-parameters'),
    capabilities: argumentsOf('migrate-set-capabilities')?.capabilities,
  };
}

const plain = () => completedReply({ 'xbzrle-cache': undefined });

test('sterna migrate --plan migrates as is recommended, and scores the plan', async () => {
  const run = await migrate(IDLE, plain());
  expect(run.stderr).toBe('');
  expect(run.exitCode).toBe(0);
  expect(run.parameters).toMatchObject({ 'x-mode': 'precopy', 'x-codec': 'none' });
  expect(run.capabilities).toContainEqual({ capability: 'xbzrle', state: false });
  const [planned = '', ended = ''] = run.stdout.split('Recommended: ');
  expect(planned).toContain('Link: 20.00 MiB/s, round trip 0.20 ms');
  expect(planned).toMatch(/^precopy {2}raw .* recommended$/m);
  expect(ended).toMatch(/^--mode precopy\n/);
  expect(ended).toContain('RAM identical: 65536 pages');
  expect(ended).toMatch(/time .*20 %: (met|missed)/);
  expect(ended).toMatch(/data .*15 %: (met|missed)/);
  expect(ended).toMatch(/downtime .*2 x: (met|missed)/);
  // The guest is looked at before anything is set, and set before it leaves.
  expect(run.scripted.commands.map(({ execute }) => execute).slice(0, 7)).toEqual([
    'x-probe-link',
    'x-record-trace-start',
    'x-query-record-trace',
    'query-migrate-parameters',
    'migrate-set-capabilities',
    'migrate-set-parameters',
    'migrate',
  ]);
});

test('deltas are switched on where they are recommended, and scored as such', async () => {
  const run = await migrate(SPARSE, completedReply());
  expect(run.stdout).toContain('Recommended: --mode precopy --comp-methods xbzrle\n');
  expect(run.capabilities).toContainEqual({ capability: 'xbzrle', state: true });
  expect(run.stdout).toContain('precopy, xbzrle');
});

test('what the user says wins', async () => {
  const stop = completedReply({
    'xbzrle-cache': undefined,
    'x-sterna': sternaFields({ mode: 'stop', verify: { status: 'identical', pages: 1 } }),
  });
  const run = await migrate(SPARSE, stop, '--mode', 'stop');
  expect(run.parameters).toMatchObject({ 'x-mode': 'stop' });
  // Of another mode nothing was recommended, so it stays as it was set.
  expect(run.parameters).not.toHaveProperty('x-codec');
  expect(run.capabilities).not.toContainEqual(expect.objectContaining({ capability: 'xbzrle' }));
  agent?.close();
  const none = await migrate(SPARSE, plain(), '--comp-methods', 'none', '--codec', 'lz4');
  expect(none.parameters).toMatchObject({ 'x-mode': 'precopy', 'x-codec': 'lz4' });
  expect(none.capabilities).toContainEqual({ capability: 'xbzrle', state: false });
  agent?.close();
  const post = await migrate(IDLE, plain(), '--postcopy-after-passes', '2');
  expect(post.parameters).toMatchObject({ 'x-mode': 'hybrid', 'x-postcopy-after-passes': 2 });
});

test('a limit of this migration is planned with', async () => {
  // 4 MiB/s: the guest dirties more than can leave, even as deltas of its whole hot set in 1 ms.
  const run = await migrate(SPARSE, plain(), '--bandwidth', '4', '--downtime', '1');
  expect(run.stderr).toBe('');
  expect(run.parameters).toMatchObject({ 'max-bandwidth': 4 * MIB, 'downtime-limit': 1 });
  expect(run.stdout).toContain('4.00 MiB/s can leave');
});

test('--json has the plan as an object of its own, and the score in the result', async () => {
  const { stdout } = await migrate(IDLE, plain(), '--json');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({
    event: 'plan',
    plan: { recommendation: { mode: 'precopy', codec: 'raw' } },
  });
  const result = lines.at(-1);
  expect(result).toMatchObject({ event: 'result', status: 'completed' });
  expect(result.score).toMatchObject({ row: { mode: 'precopy' }, total: {}, data: {} });
});

test('a migration that failed has no score', async () => {
  const failed = completedReply({ status: 'failed', 'error-desc': 'Link was lost' });
  const run = await migrate(IDLE, failed);
  expect(run.exitCode).not.toBe(0);
  expect(run.stdout).not.toContain('missed');
});

test.each([
  [['file:/x', '--plan'], 'tcp:HOST:PORT'],
  [['--postcopy-resume', '--plan'], "cannot be used with option '--postcopy-resume'"],
])('sterna migrate %j says what is wrong', async (argv, text) => {
  agent = await scriptedQmp(() => ({ return: {} }));
  const fake = fakeContext();
  const all = ['migrate', '--qmp', agent.address, ...argv];
  expect(await runCli(fake.context, '0.0.0', all)).toBe(2);
  expect(fake.stderr()).toContain(text);
  expect(agent.commands).toEqual([]);
});
