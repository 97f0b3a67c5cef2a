import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import { encodeTrace } from '../../../src/guestmem/index.ts';
import { fakeContext } from '../../support/cli-context.ts';
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
    ┌──────────┬────────┬───────────────────┬──────────┬───────────┬────────────────┬─────────────────┐
    │ mode     │ codec  │ time              │ downtime │ data      │ guest slowdown │                 │
    ├──────────┼────────┼───────────────────┼──────────┼───────────┼────────────────┼─────────────────┤
    │ stop     │ raw    │ 3,386 ms          │ 3,226 ms │ 64.31 MiB │ 0 %            │ above the limit │
    ├──────────┼────────┼───────────────────┼──────────┼───────────┼────────────────┼─────────────────┤
    │ precopy  │ raw    │ does not converge │          │ 2.35 GiB  │                │                 │
    ├──────────┼────────┼───────────────────┼──────────┼───────────┼────────────────┼─────────────────┤
    │ precopy  │ xbzrle │ 3,395 ms          │ 13.7 ms  │ 64.49 MiB │ 0 %            │ recommended     │
    ├──────────┼────────┼───────────────────┼──────────┼───────────┼────────────────┼─────────────────┤
    │ hybrid   │ raw    │ 3,587 ms          │ 60.5 ms  │ 68.32 MiB │ 3 %            │ above the limit │
    ├──────────┼────────┼───────────────────┼──────────┼───────────┼────────────────┼─────────────────┤
    │ postcopy │ raw    │ 3,383 ms          │ 10.5 ms  │ 64.25 MiB │ 5 %            │                 │
    └──────────┴────────┴───────────────────┴──────────┴───────────┴────────────────┴─────────────────┘
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
  expect(made.rows.map((row: { mode: string }) => row.mode)).toEqual([
    ...['stop', 'precopy', 'precopy', 'hybrid', 'postcopy'],
  ]);
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
  [['--trace', 'x'], 'needs --bandwidth'],
  [['--bandwidth', '1'], 'needs --qmp of a running agent, or --trace'],
  [['--trace', path('none'), '--bandwidth', '1'], 'File could not be read'],
])('sterna plan %j says what is wrong', async (argv, text) => {
  const { exitCode, stderr } = await plan(...argv);
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain(text);
});
