import { expect, test } from 'vitest';
import { SimClock, SternaError } from '../../../src/base/index.ts';
import { parsePolicy } from '../../../src/cli/arguments.ts';
import { parseSettings } from '../../../src/cli/commands/set.ts';
import { capabilitiesOf, parametersOf } from '../../../src/cli/migration/migration-request.ts';
import { readMigration } from '../../../src/cli/migration/migration-view.ts';
import { LineProgress } from '../../../src/cli/progress/line-progress.ts';
import { diagnosisText } from '../../../src/cli/report/convergence-text.ts';
import { jobInfoLines } from '../../../src/cli/report/job-info.ts';
import { activeReply, sternaFields } from '../../support/query-migrate-reply.ts';

const PLATEAU = {
  verdict: 'plateau',
  'limiting-factor': 'working-set',
  'working-set-bytes': 256 * 2 ** 20,
  'dirty-bytes-per-second': 245e6,
  'effective-bytes-per-second': 124e6,
  'required-downtime-ms': 2160,
  advice: [
    { action: 'postcopy-ram', 'predicted-downtime-ms': 4, 'predicted-total-ms': 14_000 },
    { action: 'downtime-limit', 'predicted-downtime-ms': 2160, 'predicted-total-ms': 14_000 },
  ],
};
const viewOf = (diagnosis: object, more: object = {}) =>
  readMigration(activeReply({ 'x-sterna': sternaFields({ diagnosis, ...more }) }));

test('diagnosisText() says in a sentence why, and what would help', () => {
  const text = diagnosisText(viewOf(PLATEAU).convergence.diagnosis!);
  expect(text).toMatch(/^does not converge, the guest writes 256.0 MiB again and again: /);
  expect(text).toContain('a pause now would take 2,160 ms');
  expect(text).toContain(
    'what would help: post-copy (downtime 4.00 ms, 14 s in all), or a pause now',
  );
  expect(text).not.toContain('\n');
});

test.each([
  [{ verdict: 'converging', 'eta-ms': 3000 }, /^converges in about 3 s: /],
  [{ verdict: 'converging', 'eta-ms': 0 }, /^converges: /],
  [{ verdict: 'diverging' }, /each pass leaves more than the last/],
  [{ verdict: 'bandwidth-limited' }, /under its max-bandwidth/],
  [{ verdict: 'cpu-limited' }, /the encoder is slower than the link/],
  [{ ...PLATEAU, advice: 'x', 'required-downtime-ms': null }, /again and again: .* can leave$/],
])('diagnosisText() of %j', (diagnosis, expected) => {
  expect(diagnosisText(viewOf(diagnosis).convergence.diagnosis!)).toMatch(expected);
});

test('diagnosisText() says what to type for a compression that would help', () => {
  const advice = ['xbzrle', 'x-codec'].map((action) => ({
    ...{ action, 'predicted-downtime-ms': 34, 'predicted-total-ms': 5400 },
  }));
  const text = diagnosisText(viewOf({ ...PLATEAU, advice }).convergence.diagnosis!);
  expect(text).toContain(
    'what would help: --comp-methods xbzrle from the beginning (downtime 34.0 ms',
  );
  expect(text).toContain('or --codec auto from the beginning (downtime 34.0 ms');
});

test('jobInfoLines() has policy, what the guest paid, and the diagnosis', () => {
  const policy = { name: 'auto', 'fallback-reason': 'decide() threw' };
  const view = viewOf(PLATEAU, { policy, throttle: { percentage: 30, 'mean-percentage': 12.5 } });
  const lines = jobInfoLines(view).join('\n');
  expect(lines).toContain('Policy:           auto, instead of the one asked for: decide() threw');
  expect(lines).toContain('vCPUs throttled:  12.5 % on average');
  expect(lines).toContain('Diagnosis:        does not converge');
  const plain = jobInfoLines(readMigration(activeReply())).join('\n');
  expect(plain).not.toMatch(/Policy|Diagnosis|slowed/);
});

test('LineProgress tells a verdict once, and again when it is another', () => {
  let written = '';
  const output = { write: (text: string) => (written += text) };
  const progress = new LineProgress(output as never, new SimClock());
  for (const diagnosis of [PLATEAU, PLATEAU, { verdict: 'converging' }]) {
    progress.update({ view: viewOf(diagnosis), reply: {} } as never);
  }
  expect(written.match(/does not converge, the guest/g)).toHaveLength(1);
  expect(written.match(/^converges/gm)).toHaveLength(1);
});

test('a policy is a name, or a path that is made absolute', () => {
  expect(parsePolicy('clark')).toBe('clark');
  expect(parsePolicy('mine.mjs')).toBe(`${process.cwd()}/mine.mjs`);
  expect(parseSettings(['x-policy=qemu', 'cpu-throttle-tailslow=on']).parameters).toEqual({
    'x-policy': 'qemu',
    'cpu-throttle-tailslow': true,
  });
  expect(parseSettings(['x-policy=./a.mjs']).parameters['x-policy']).toMatch(/^\/.*\/a\.mjs$/);
});

test.each([
  'x-policy=',
  'cpu-throttle-initial=0',
  'cpu-throttle-initial=100',
  'cpu-throttle-initial=1M',
  'throttle-trigger-threshold=101',
  'max-cpu-throttle=100',
  'cpu-throttle-tailslow=maybe',
  'vcpu-dirty-limit=0',
  'x-vcpu-dirty-limit-period=1001',
])('parseSettings() refuses %s', (assignment) => {
  expect(() => parseSettings([assignment])).toThrow(SternaError);
});

test('a request carries policy and auto-converge when they were given', () => {
  const request = { uri: 'tcp:h:1', mode: 'precopy', timeoutAction: 'suspend' } as const;
  expect(parametersOf(request)).not.toHaveProperty('x-policy');
  expect(parametersOf({ ...request, policy: 'svard' })).toMatchObject({ 'x-policy': 'svard' });
  expect(capabilitiesOf({ ...request, autoConverge: true })).toContainEqual({
    capability: 'auto-converge',
    state: true,
  });
});
