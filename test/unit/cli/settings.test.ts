import { expect, test } from 'vitest';
import { SternaError } from '../../../src/base/index.ts';
import { parseSettings } from '../../../src/cli/commands/set.ts';
import { capabilitiesOf, parametersOf } from '../../../src/cli/migration/migration-request.ts';

test('parseSettings() sorts parameters from capabilities and reads units', () => {
  expect(
    parseSettings([
      'max-bandwidth=125M',
      'downtime-limit=50',
      'xbzrle=on',
      'x-mode=stop',
      'events=off',
    ]),
  ).toEqual({
    parameters: { 'max-bandwidth': 125 * 2 ** 20, 'downtime-limit': 50, 'x-mode': 'stop' },
    capabilities: [
      { capability: 'xbzrle', state: true },
      { capability: 'events', state: false },
    ],
  });
});

test.each([
  'max-bandwidth',
  '=1',
  'max-bandwidth=',
  'max-bandwidth=fast',
  'downtime-limit=2000001',
  'downtime-limit=50M',
  'xbzrle-cache-size=65M',
  'xbzrle=1',
  'x-mode=magic',
  'x-postcopy-spill=relative/directory',
  'no-such-key=1',
  'constructor=1',
  '__proto__=1',
])('parseSettings() refuses %s and names what is expected', (assignment) => {
  expect(() => parseSettings(['downtime-limit=1', assignment])).toThrow(SternaError);
});

test('parametersOf() sets mode and timeout always, the rest only when it was given', () => {
  const request = { uri: 'tcp:h:1', mode: 'precopy', timeoutAction: 'suspend' } as const;
  expect(parametersOf(request)).toEqual({
    'x-mode': 'precopy',
    'x-timeout': 0,
    'x-timeout-action': 'suspend',
  });
  expect(
    parametersOf({
      ...request,
      bandwidthMebibytes: 125,
      downtimeMs: 0,
      timeoutSeconds: 1.5,
      xbzrleCacheBytes: 2 ** 26,
      verify: 'strict',
      postcopySpill: '/var/spill',
    }),
  ).toEqual({
    'x-mode': 'precopy',
    'x-timeout': 1_500,
    'x-timeout-action': 'suspend',
    'max-bandwidth': 125 * 2 ** 20,
    'downtime-limit': 0,
    'xbzrle-cache-size': 2 ** 26,
    'x-verify': 'strict',
    'x-postcopy-spill': '/var/spill',
  });
});

test('capabilitiesOf() turns xbzrle off only when that was asked for', () => {
  const request = { uri: 'tcp:h:1', mode: 'precopy', timeoutAction: 'suspend' } as const;
  const events = { capability: 'events', state: true };
  expect(capabilitiesOf(request)).toEqual([events]);
  expect(capabilitiesOf({ ...request, compression: 'none' })).toEqual([
    events,
    { capability: 'xbzrle', state: false },
  ]);
});
