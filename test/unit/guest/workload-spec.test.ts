import { describe, expect, test } from 'vitest';
import { SternaError } from '../../../src/base/index.ts';
import {
  checkWorkloadFits,
  formatWorkloadSpec,
  parseWorkloadSpec,
} from '../../../src/guest/index.ts';

const MIB = 2 ** 20;
const MEMWRITE = {
  kind: 'memwrite',
  fillBytes: 0,
  hotBytes: 16 * MIB,
  pattern: 'seq',
  ratePagesPerSecond: 0,
  words: 1,
  stepBytes: 64,
  readPercent: 0,
  content: 'noise',
};

const GOOD = [
  ['idle', { kind: 'idle', fillBytes: 0, content: 'noise' }],
  ['idle,fill=1M', { kind: 'idle', fillBytes: MIB, content: 'noise' }],
  ['idle,fill=1M,content=text', { kind: 'idle', fillBytes: MIB, content: 'text' }],
  ['ab', { kind: 'ab' }],
  ['memwrite', MEMWRITE],
  ['memwrite,fill=32M', { ...MEMWRITE, fillBytes: 32 * MIB, hotBytes: 32 * MIB }],
  ['memwrite,hot=5000', { ...MEMWRITE, hotBytes: 8192 }],
  [
    'memwrite,fill=900M,hot=64M,rate=20000,words=8,step=512',
    {
      ...MEMWRITE,
      fillBytes: 900 * MIB,
      hotBytes: 64 * MIB,
      ratePagesPerSecond: 20000,
      words: 8,
      stepBytes: 512,
    },
  ],
  ['memwrite,content=text', { ...MEMWRITE, content: 'text' }],
  ['memwrite,pattern=walk', { ...MEMWRITE, pattern: 'walk' }],
  [' memwrite,pattern=zipf,read=30 ', { ...MEMWRITE, pattern: 'zipf', readPercent: 30 }],
  ['memwrite,words=1024,step=4', { ...MEMWRITE, words: 1024, stepBytes: 4 }],
] as const;

const BAD = [
  ['', 'Unknown workload'],
  ['memwriter', 'Unknown workload'],
  ['constructor', 'Unknown workload'],
  ['ab,fill=1M', 'has no key "fill"'],
  ['memwrite,warm=1M', 'has no key "warm"'],
  ['memwrite,', 'has no key ""'],
  ['memwrite,fill', 'key fill needs one value'],
  ['memwrite,fill=', 'key fill needs one value'],
  ['memwrite,fill=1M=2', 'key fill needs one value'],
  ['memwrite,fill=1M,fill=2M', 'key fill is given twice'],
  ['memwrite,fill=much', 'key fill is not a size'],
  ['memwrite,fill=-1M', 'key fill is not a size'],
  ['memwrite,hot=0', 'key hot is out of range'],
  ['memwrite,pattern=gauss', 'key pattern is unknown'],
  ['memwrite,content=music', 'key content is unknown'],
  ['memwrite,rate=fast', 'key rate is out of range'],
  ['memwrite,rate=1e3', 'key rate is out of range'],
  ['memwrite,rate=1000000001', 'key rate is out of range'],
  ['memwrite,words=0', 'key words is out of range'],
  ['memwrite,words=1025', 'key words is out of range'],
  ['memwrite,step=2', 'key step is out of range'],
  ['memwrite,step=6', 'key step must be a multiple of 4'],
  ['memwrite,words=65,step=64', 'words and step do not fit'],
  ['memwrite,read=101', 'key read is out of range'],
] as const;

function errorOf(run: () => unknown): SternaError {
  try {
    run();
  } catch (error) {
    if (error instanceof SternaError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}

describe('parseWorkloadSpec()', () => {
  test.each(GOOD)('reads %s', (text, spec) => {
    expect(parseWorkloadSpec(text)).toEqual(spec);
    expect(parseWorkloadSpec(formatWorkloadSpec(parseWorkloadSpec(text)))).toEqual(spec);
  });

  test.each(BAD)('names what is wrong with %s', (text, message) => {
    const error = errorOf(() => parseWorkloadSpec(text));
    expect(error.code).toBe('E_CONFIG_INVALID');
    expect(error.message).toContain(message);
  });

  test('tells the range and the known keys in the detail', () => {
    expect(errorOf(() => parseWorkloadSpec('memwrite,read=200')).detail).toEqual({
      key: 'read',
      value: '200',
      allowed: 'a whole number from 0 to 100',
    });
    expect(errorOf(() => parseWorkloadSpec('idle,hot=1M')).detail.known).toEqual([
      'fill',
      'content',
    ]);
  });
});

describe('checkWorkloadFits()', () => {
  test.each([
    ['memwrite,fill=17M', 16, 'key fill is larger'],
    ['memwrite,hot=17M', 16, 'key hot is larger'],
    ['idle,fill=17M', 16, 'key fill is larger'],
    ['ab', 1, 'needs more RAM'],
  ])('refuses %s in %i MiB', (text, mib, message) => {
    const error = errorOf(() => checkWorkloadFits(parseWorkloadSpec(text), mib * MIB));
    expect(error.message).toContain(message);
  });

  test.each(['memwrite,fill=16M,hot=16M', 'idle', 'ab'])('accepts %s in 16 MiB', (text) => {
    expect(() => checkWorkloadFits(parseWorkloadSpec(text), 16 * MIB)).not.toThrow();
  });
});
