import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import type { PlanRow } from '../../../src/experiments/plan/make-plan.ts';
import { encodeTrace } from '../../../src/guestmem/index.ts';
import { fakeContext } from '../../support/cli-context.ts';
import { scriptedQmp } from '../../support/scripted-qmp.ts';
import { sweep } from '../experiments/plan/guests.ts';

const directory = mkdtempSync(join(tmpdir(), 'sterna-plan-'));
const path = (name: string) => join(directory, name);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** 64 MiB of RAM; the guest dirties 40 MiB/s in 4 MiB, 32 bytes of each page. */
const BUSY = sweep({ ramPages: 16_384, hotPages: 1024, pagesPerInterval: 102, deltaBytes: 100 });

async function plan(...argv: string[]) {
  const fake = fakeContext();
  const exitCode = await runCli(fake.context, '0.0.0', ['plan', ...argv]);
  return { exitCode, stdout: fake.stdout(), stderr: fake.stderr() };
}

test('sterna plan prints a table and a recommendation from a trace', async () => {
  writeFileSync(path('busy.trace'), encodeTrace(BUSY));
  const { exitCode, stdout, stderr } = await plan(
    ...['--trace', path('busy.trace'), '--bandwidth', '20', '--downtime', '50'],
  );
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "Guest: 64.00 MiB in use, 39.84 MiB/s dirtied, 4.00 MiB of it hot, 0 % zero
    Link: 20.00 MiB/s, round trip 0.20 ms
    Policy: auto, downtime limit 50.0 ms
    ┌──────────┬────────────────────┬───────────────────┬──────────────────────────────┬───────────┬─────────────────────┬─────────────────┐
    │ mode     │ codec              │ time              │ downtime                     │ data      │ guest slowdown      │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ stop     │ raw                │ 3,384 ms          │ 3,224 ms                     │ 64.31 MiB │ 0 %                 │ above the limit │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ precopy  │ raw                │ does not converge │                              │ 514.7 MiB │                     │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ precopy  │ lz4                │ does not converge │                              │ 514.7 MiB │                     │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ precopy  │ xbzrle             │ 3,392 ms          │ 11.6 ms                      │ 64.46 MiB │ 0 %                 │ recommended     │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ precopy  │ xbzrle+lz4         │ 3,392 ms          │ 11.6 ms                      │ 64.46 MiB │ 0 %                 │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ precopy  │ raw, auto-converge │ 5,608 ms          │ 42.9 ms (37.8 ms to 51.2 ms) │ 108.8 MiB │ 15 % (15 % to 16 %) │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ precopy  │ raw, dirty-limit   │ 4,583 ms          │ 9.34 ms                      │ 88.29 MiB │ 5 %                 │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ hybrid   │ raw                │ 3,536 ms          │ 58.5 ms                      │ 67.35 MiB │ 2 %                 │ above the limit │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ hybrid   │ lz4                │ 3,536 ms          │ 58.5 ms                      │ 67.35 MiB │ 2 %                 │ above the limit │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ hybrid   │ xbzrle             │ 3,390 ms          │ 58.5 ms                      │ 64.40 MiB │ 0 %                 │ above the limit │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ hybrid   │ xbzrle+lz4         │ 3,390 ms          │ 58.5 ms                      │ 64.40 MiB │ 0 %                 │ above the limit │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ postcopy │ raw                │ 3,384 ms          │ 8.50 ms                      │ 64.31 MiB │ 5 %                 │                 │
    ├──────────┼────────────────────┼───────────────────┼──────────────────────────────┼───────────┼─────────────────────┼─────────────────┤
    │ postcopy │ lz4                │ 3,384 ms          │ 8.50 ms                      │ 64.31 MiB │ 5 %                 │                 │
    └──────────┴────────────────────┴───────────────────┴──────────────────────────────┴───────────┴─────────────────────┴─────────────────┘
    Recommended: --mode precopy --comp-methods xbzrle
      The guest dirties near or above what the link carries: it dirties 39.84 MiB/s and 20.00 MiB/s can leave.
      A change touches 2.4 % of a page, so that deltas outrun the guest.
    "
  `);
});

test('sterna plan --json has the same as data', async () => {
  const { stdout } = await plan(
    ...['--trace', path('busy.trace'), '--bandwidth', '20', '--downtime', '50', '--json'],
  );
  const made = JSON.parse(stdout);
  expect(made.recommendation).toMatchObject({ mode: 'precopy', codec: 'xbzrle' });
  const ways = made.rows.map(
    ({ mode, codec, slowing }: PlanRow) =>
      `${mode} ${codec}${slowing === 'none' ? '' : ` ${slowing}`}`,
  );
  expect(ways).toEqual([
    'stop raw',
    'precopy raw',
    'precopy lz4',
    'precopy xbzrle',
    'precopy xbzrle+lz4',
    'precopy raw auto-converge',
    'precopy raw dirty-limit',
    'hybrid raw',
    'hybrid lz4',
    'hybrid xbzrle',
    'hybrid xbzrle+lz4',
    'postcopy raw',
    'postcopy lz4',
  ]);
});

test('sterna plan --to has the agent measure the link, and what the user says wins', async () => {
  writeFileSync(path('busy.trace'), encodeTrace(BUSY));
  const agent = await scriptedQmp(() => ({
    return: { 'bytes-per-second': 8 * 2 ** 20, 'round-trip-us': 1500, 'sent-bytes': 2 ** 24 },
  }));
  try {
    const to = 'tcp:127.0.0.1:4444';
    const asked = ['--trace', path('busy.trace'), '--qmp', agent.address, '--to', to];
    expect((await plan(...asked)).stdout).toContain('Link: 8.00 MiB/s, round trip 1.50 ms');
    const both = await plan(...asked, '--round-trip', '3');
    expect(both.stdout).toContain('Link: 8.00 MiB/s, round trip 3.00 ms');
    const probe = { execute: 'x-probe-link', arguments: { uri: to } };
    expect(agent.commands).toEqual([probe, probe]);
    const all = await plan(...asked, '--round-trip', '3', '--bandwidth', '2');
    expect(all.stdout).toContain('Link: 2.00 MiB/s, round trip 3.00 ms');
    expect(agent.commands).toHaveLength(2);
  } finally {
    agent.close();
  }
});

test('sterna plan says why the destination refuses to be measured', async () => {
  const agent = await scriptedQmp(() => ({
    error: { class: 'GenericError', desc: 'Destination is busy with another guest' },
  }));
  try {
    const { exitCode, stderr } = await plan('--qmp', agent.address, '--to', 'tcp:127.0.0.1:1');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('Destination is busy with another guest');
  } finally {
    agent.close();
  }
});

test('a damaged trace is refused with the offset', async () => {
  const bytes = encodeTrace(BUSY);
  writeFileSync(path('cut.trace'), bytes.subarray(0, bytes.length - 1));
  const { exitCode, stderr } = await plan('--trace', path('cut.trace'), '--bandwidth', '20');
  expect(exitCode).toBe(1);
  expect(stderr).toContain('Trace ends inside of its interval');
  expect(stderr).toContain('offsetBytes');
});

test.each([
  [['--trace', path('busy.trace')], 'needs --to URI of the destination, or --bandwidth'],
  [['--trace', path('busy.trace'), '--to', 'tcp:127.0.0.1:1'], 'needs --qmp'],
  [['--to', 'file:x'], 'Expected tcp:HOST:PORT'],
  [['--bandwidth', '1'], 'needs --qmp of a running agent, or --trace'],
  [['--trace', path('none'), '--bandwidth', '1'], 'File could not be read'],
])('sterna plan %j says what is wrong', async (argv, text) => {
  const { exitCode, stderr } = await plan(...argv);
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain(text);
});
