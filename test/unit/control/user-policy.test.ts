import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/index.ts';
import { policyOf } from '../../../src/control/policy/policy-of-module.ts';
import { UserPolicy } from '../../../src/control/policy/user-policy.ts';
import { builtInPolicy, checkBegin, checkDecision } from '../../../src/source/index.ts';
import { NO_LIMITS, ROUND, runModel } from '../../support/policy-model.ts';

const EXAMPLE = fileURLToPath(new URL('../../../examples/policy.mjs', import.meta.url));
const START = { ramPages: 300, limits: NO_LIMITS };

const directory = mkdtempSync(join(tmpdir(), 'sterna-policy-'));
const opened: UserPolicy[] = [];
let files = 0;

function open(path: string): UserPolicy {
  const policy = new UserPolicy(path);
  opened.push(policy);
  return policy;
}

function write(text: string): UserPolicy {
  files += 1;
  const path = join(directory, `policy-${files}.mjs`);
  writeFileSync(path, text);
  return open(path);
}

afterEach(() => {
  for (const policy of opened.splice(0)) policy.close();
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('UserPolicy', () => {
  test('asks a default export that is a function, of which nothing begins', async () => {
    const policy = write(
      "export default (round) => ({ action: 'iterate', because: String(round.pass) });",
    );
    expect(await policy.begin(START)).toBeUndefined();
    expect(await policy.decide(ROUND)).toEqual({ action: 'iterate', because: '2' });
  });

  test('asks an object, and its begin first', async () => {
    const policy = write(
      `export default { rate: 1e6, begin() { return { bytesPerSecond: this.rate }; },
        async decide() { return { action: 'stop-and-copy', reason: 'mine' }; } };`,
    );
    expect(await policy.begin(START)).toEqual({ bytesPerSecond: 1e6 });
    expect(await policy.decide(ROUND)).toEqual({ action: 'stop-and-copy', reason: 'mine' });
  });

  test.each<[string, string, string | RegExp]>([
    ['has an error of syntax', 'export default {', /Unexpected/],
    ['exports nothing', 'const decide = 1;', 'exports no decide(round)'],
    ['exports no function', 'export const decide = 1;', 'exports no decide(round)'],
    ['throws when it is loaded', "throw new Error('not today');", 'not today'],
    ['throws when it is asked', "export const decide = () => { throw new Error('odd'); };", 'odd'],
    ['throws what is no error', "export const decide = () => { throw 'odd'; };", 'odd'],
    [
      'returns what cannot be posted',
      'export const decide = () => () => 1;',
      /could not be cloned/,
    ],
    [
      'ends its thread',
      "import 'node:process'; export const decide = () => process.exit(1);",
      'ended',
    ],
    [
      'takes all memory',
      'export const decide = () => { const a = []; for (;;) a.push(new Array(1e5).fill(a)); };',
      /memory/,
    ],
  ])('rejects when a module %s', async (_, text, message) => {
    await expect(write(text).decide(ROUND)).rejects.toThrow(message);
  });

  test('rejects when there is no such file', async () => {
    await expect(open(join(directory, 'none.mjs')).begin(START)).rejects.toThrow('none.mjs');
  });

  test('rejects what was asked of a loop when it is closed', async () => {
    const policy = write('export const decide = () => { for (;;); };');
    await policy.begin(START);
    const answer = policy.decide(ROUND);
    await systemClock().sleep(1);
    policy.close();
    await expect(answer).rejects.toThrow('ended');
    await expect(policy.decide(ROUND)).rejects.toThrow('ended');
  });
});

describe('examples/policy.mjs', () => {
  test('answers what the engine accepts, in its thread', async () => {
    const policy = open(EXAMPLE);
    const limits = { ...NO_LIMITS, maxBandwidthBytesPerSecond: 1e8 };
    const begun = checkBegin(await policy.begin({ ...START, limits }));
    expect(begun).toEqual({ ok: true, value: { bytesPerSecond: 5e7 } });
    const decided = checkDecision(await policy.decide(ROUND), NO_LIMITS.allows);
    expect(decided).toMatchObject({ ok: true, value: { action: 'iterate' } });
  });

  test('ends a migration that converges, and never pauses beyond twice the limit', async () => {
    const { decide } = policyOf(await import(EXAMPLE));
    const policy = {
      name: 'example',
      decide: (round: typeof ROUND) => {
        const checked = checkDecision(decide(round), round.limits.allows);
        if (!checked.ok) throw new Error(checked.problem);
        return checked.value;
      },
    };
    const guest = { ramPages: 16_384, hotPages: 4096, linkBytesPerMs: 12_500, againBytes: 4112 };
    const converging = runModel(policy, { ...guest, writesPerMs: 1 });
    expect(converging.end?.action).toBe('stop-and-copy');
    expect(converging.downtimeMs).toBeLessThanOrEqual(600);
    expect(runModel(policy, { ...guest, writesPerMs: 60 }).end).toBeUndefined();
    // Where the default would have switched at 300 ms it goes on, for each pass leaves less.
    const auto = runModel(builtInPolicy('auto')!, { ...guest, writesPerMs: 1 });
    expect(converging.downtimeMs).toBeLessThanOrEqual(auto.downtimeMs);
  });
});
