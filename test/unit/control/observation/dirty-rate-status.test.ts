import { expect, test } from 'vitest';
import {
  DirtyRateStatus,
  dirtyRateRequest,
} from '../../../../src/control/observation/dirty-rate-status.ts';

test('calc-dirty-rate has the defaults and units of QEMU', () => {
  const defaults = { kind: 'dirty-rate', mode: 'page-sampling', samplePages: 512 };
  expect(dirtyRateRequest({ 'calc-time': 1 })).toEqual({ ...defaults, calcTimeMs: 1000 });
  expect(dirtyRateRequest({ 'calc-time': 50, 'calc-time-unit': 'millisecond' })).toEqual({
    ...defaults,
    calcTimeMs: 50,
  });
  expect(dirtyRateRequest({ 'calc-time': 60, mode: 'dirty-bitmap' })).toEqual({
    ...defaults,
    mode: 'dirty-bitmap',
    calcTimeMs: 60_000,
  });
});

test.each([
  [{ 'calc-time': 61 }, 'Calculation time is out of range[50ms, 60000ms].'],
  [{ 'calc-time': 49, 'calc-time-unit': 'millisecond' }, 'out of range[50ms, 60000ms]'],
  [{ 'calc-time': 1, 'calc-time-unit': 'hour' }, "'calc-time-unit' does not accept value 'hour'"],
  [{ 'calc-time': 1, 'sample-pages': 127 }, 'sample-pages is out of range[128, 16384].'],
  [{ 'calc-time': 1, 'sample-pages': 16_385 }, 'sample-pages is out of range[128, 16384].'],
  [{ 'calc-time': 1, 'sample-pages': 512, mode: 'dirty-bitmap' }, 'sample-pages is only used'],
  [{ 'calc-time': 1, mode: 'dirty-ring' }, 'dirty ring is disabled'],
  [{ 'calc-time': 1, mode: 'guess' }, "'mode' does not accept value 'guess'"],
])('calc-dirty-rate %o is refused', (values, text) => {
  expect(() => dirtyRateRequest(values)).toThrow(text);
});

test('query-dirty-rate tells the state, the request and the rate', () => {
  const status = new DirtyRateStatus();
  expect(status.reply(undefined)).toEqual({
    status: 'unstarted',
    'start-time': 0,
    'calc-time': 1,
    'calc-time-unit': 'second',
    'sample-pages': 512,
    mode: 'page-sampling',
  });
  status.begin(dirtyRateRequest({ 'calc-time': 2, mode: 'dirty-bitmap' }), 77);
  expect(() => status.begin(dirtyRateRequest({ 'calc-time': 2 }), 78)).toThrow('in progress');
  expect(status.reply('millisecond')).toEqual({
    status: 'measuring',
    'start-time': 77,
    'calc-time': 2000,
    'calc-time-unit': 'millisecond',
    'sample-pages': 0,
    mode: 'dirty-bitmap',
  });
  const mebibytes = (count: number) => count * 2 ** 20;
  status.end({
    bytesPerSecond: mebibytes(30.4),
    vcpuBytesPerSecond: [mebibytes(10), mebibytes(20.6)],
    measuredMs: 1999.8,
  });
  expect(status.reply(undefined)).toEqual({
    status: 'measured',
    'dirty-rate': 30,
    'start-time': 77,
    'calc-time': 2,
    'calc-time-unit': 'second',
    'sample-pages': 0,
    mode: 'dirty-bitmap',
    'vcpu-dirty-rate': [
      { id: 0, 'dirty-rate': 10 },
      { id: 1, 'dirty-rate': 21 },
    ],
    'x-sterna': {
      'bytes-per-second': Math.round(mebibytes(30.4)),
      'pages-per-second': 7782,
      'measured-ms': 2000,
    },
  });
});

test('a measurement that failed can be seen, and another one can follow', () => {
  const status = new DirtyRateStatus();
  status.begin(dirtyRateRequest({ 'calc-time': 1 }), 1);
  status.fail(new Error('gone'));
  const reply = status.reply(undefined);
  expect(reply.status).toBe('unstarted');
  expect(reply['x-sterna']).toMatchObject({ error: { code: 'E_WORKER_DIED' } });
  status.begin(dirtyRateRequest({ 'calc-time': 1 }), 2);
  expect(status.reply(undefined)).toMatchObject({ status: 'measuring', 'start-time': 2 });
});
