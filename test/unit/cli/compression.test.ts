import { afterEach, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import { readMigration } from '../../../src/cli/migration/migration-view.ts';
import { jobInfoLines } from '../../../src/cli/report/job-info.ts';
import { fakeContext } from '../../support/cli-context.ts';
import { activeReply, completedReply, sternaFields } from '../../support/query-migrate-reply.ts';
import { type ScriptedQmp, scriptedQmp } from '../../support/scripted-qmp.ts';

let agent: ScriptedQmp | undefined;
afterEach(() => agent?.close());

async function run(
  command: string,
  replies: Readonly<Record<string, unknown>>,
  ...options: string[]
) {
  agent = await scriptedQmp((name) => ({ return: replies[name] ?? {} }));
  const fake = fakeContext();
  const exitCode = await runCli(fake.context, '0.0.0', [
    command,
    '--qmp',
    agent.address,
    ...options,
  ]);
  return { exitCode, fake };
}

async function migrate(...options: string[]) {
  const { exitCode, fake } = await run(
    'migrate',
    { 'query-migrate': completedReply() },
    'tcp:127.0.0.1:4444',
    ...options,
  );
  const argumentsOf = (name: string) =>
    agent?.commands.find(({ execute }) => execute === name)?.arguments as Record<string, unknown>;
  return { exitCode, stderr: fake.stderr(), argumentsOf };
}

describe('sterna migrate --comp-methods', () => {
  test.each([
    ['none', false, 'none'],
    ['xbzrle', true, undefined],
    ['lz4', false, 'lz4'],
    ['xbzrle,lz4', true, 'all'],
    ['lz4,xbzrle', true, 'all'],
  ])('%s sets xbzrle %s and x-codec %s', async (methods, xbzrle, codec) => {
    const { exitCode, argumentsOf } = await migrate('--comp-methods', methods);
    expect(exitCode).toBe(0);
    expect(argumentsOf('migrate-set-capabilities')).toMatchObject({
      capabilities: expect.arrayContaining([{ capability: 'xbzrle', state: xbzrle }]),
    });
    expect(argumentsOf('migrate-set-parameters')['x-codec']).toBe(codec);
  });

  test('--codec says more exactly what the methods leave open', async () => {
    const { argumentsOf } = await migrate('--comp-methods', 'xbzrle,lz4', '--codec', 'auto');
    expect(argumentsOf('migrate-set-parameters')).toMatchObject({ 'x-codec': 'auto' });
  });

  test('without it both stay as the agent has them', async () => {
    const { argumentsOf } = await migrate();
    expect(argumentsOf('migrate-set-parameters')).not.toHaveProperty('x-codec');
    expect(JSON.stringify(argumentsOf('migrate-set-capabilities'))).not.toContain('xbzrle');
  });

  test.each([
    ['zstd', 'There is no method "zstd"; there are none, xbzrle, lz4, or both as xbzrle,lz4.'],
    ['xbzrle,mt', 'There is no method "mt"'],
    ['xbzrle,', 'There is no method ""'],
    ['none,lz4', 'none stands alone.'],
  ])('%s is refused with the list, before the agent is asked', async (methods, text) => {
    const { exitCode, stderr } = await migrate('--comp-methods', methods);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(text);
    expect(agent?.commands).toEqual([]);
  });

  test('a codec that forbids what a method names is refused', async () => {
    const { exitCode, stderr } = await migrate('--comp-methods', 'lz4', '--codec', 'none');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('[E_CONFIG_INVALID]');
  });
});

const CACHE = {
  xbzrle: { ways: 2, conflict: 4, primed: 50, 'saved-bytes': 3 * 2 ** 20 },
  'xbzrle-ghost': [
    { 'cache-size': 2 ** 27, 'hit-rate': 0.98 },
    { 'cache-size': 2 ** 25, 'hit-rate': 0.25 },
  ],
};

function lines(sterna: Record<string, unknown>, reply = completedReply): string[] {
  return jobInfoLines(readMigration(reply({ 'x-sterna': sternaFields(sterna) })));
}

function codec(fields: Record<string, unknown>): string[] {
  const all = { agreed: true, pages: false, deltas: false, 'saved-bytes': 0, ...fields };
  return lines({ codec: all }).filter((line) => line.startsWith('Codec:'));
}

describe('sterna info about compression', () => {
  test('tells what the delta cache did, and what other sizes would have done', () => {
    expect(lines(CACHE)).toEqual(
      expect.arrayContaining([
        'Delta cache:      2-way, 70 hits, 3 misses, 4 conflicts, 1 overflows, 50 pages primed; saved 3.00 MiB',
        'Other sizes:      a cache of 32.00 MiB would have missed 75 %, of 128.0 MiB 2 %',
      ]),
    );
  });

  test('a cache that has cost more than it saved says so', () => {
    const xbzrle = { ways: 1, conflict: 0, primed: 0, 'saved-bytes': -2048 };
    expect(lines({ xbzrle }).join('\n')).toContain(
      'direct-mapped, 70 hits, 3 misses, 0 conflicts, 1 overflows; cost 2.00 KiB',
    );
  });

  test('without XBZRLE, and from an agent that tells nothing of it, there are no such lines', () => {
    const text = lines({}, activeReply).join('\n');
    expect(text).not.toMatch(/Delta cache|Other sizes|Codec/);
  });

  test('tells the codec, what it takes now and what it has saved', () => {
    const saved = { 'saved-bytes': 2 ** 21 };
    expect(codec({ choice: 'auto', pages: true, ...saved })).toEqual([
      'Codec:            auto: pages become LZ4; saved 2.00 MiB',
    ]);
    expect(codec({ choice: 'all', pages: true, deltas: true, ...saved })).toEqual([
      'Codec:            all: pages and deltas become LZ4; saved 2.00 MiB',
    ]);
    expect(codec({ choice: 'auto' })).toEqual([
      'Codec:            auto: nothing becomes LZ4; saved 0 B',
    ]);
    expect(codec({ choice: 'auto', agreed: false })).toEqual([
      'Codec:            auto, but the destination reads no LZ4',
    ]);
    expect(codec({ choice: 'none' })).toEqual([]);
  });

  test('tells the dirty rate that was measured, also when nothing was migrated', async () => {
    const measured = {
      status: 'measured',
      'dirty-rate': 12,
      mode: 'dirty-bitmap',
      'x-sterna': { 'bytes-per-second': 12.5 * 2 ** 20, 'measured-ms': 1000 },
    };
    const { fake } = await run('info', { 'query-dirty-rate': measured });
    expect(fake.stdout()).toBe(
      'Job type:         None\nMeasured dirtying: 12.50 MiB/s over 1.0 s (dirty-bitmap)\n',
    );
  });

  test('a measurement that still runs is not told', async () => {
    const { fake } = await run('info', { 'query-dirty-rate': { status: 'measuring' } });
    expect(fake.stdout()).toBe('Job type:         None\n');
  });
});
