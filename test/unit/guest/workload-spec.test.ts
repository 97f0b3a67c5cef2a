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

const LMBENCH = {
  kind: 'lmbench',
  fillBytes: 0,
  sizeBytes: 16 * MIB,
  unitBytes: 4,
  strideBytes: 16,
  ratePagesPerSecond: 0,
};
const STREAM = {
  kind: 'stream',
  fillBytes: 0,
  ringBytes: 16 * MIB,
  frameBytes: 65536,
  framesPerSecond: 25,
  changePercent: 100,
};
const ERP = {
  kind: 'erp',
  heapBytes: 64 * MIB,
  hotBytes: 64 * MIB,
  pattern: 'random',
  words: 4,
  stepBytes: 64,
  readPercent: 0,
  updates: 100,
  ratePagesPerSecond: 0,
  sessions: 64,
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
  ['idle,fill=1M,content=mixed', { kind: 'idle', fillBytes: MIB, content: 'mixed' }],
  ['memwrite,content=text', { ...MEMWRITE, content: 'text' }],
  ['memwrite,pattern=walk', { ...MEMWRITE, pattern: 'walk' }],
  [' memwrite,pattern=zipf,read=30 ', { ...MEMWRITE, pattern: 'zipf', readPercent: 30 }],
  ['memwrite,words=1024,step=4', { ...MEMWRITE, words: 1024, stepBytes: 4 }],
  ['lmbench', LMBENCH],
  // The load generator that was published with XBRLE: a byte of each KiB of 16 MiB, flat out.
  ['lmbench,size=16M,unit=1,stride=1K', { ...LMBENCH, unitBytes: 1, strideBytes: 1024 }],
  [
    'lmbench,fill=64M,size=32M,rate=8000,stride=4K',
    {
      ...LMBENCH,
      fillBytes: 64 * MIB,
      sizeBytes: 32 * MIB,
      ratePagesPerSecond: 8000,
      strideBytes: 4096,
    },
  ],
  ['stream', STREAM],
  ['stream,ring=1000K,frame=60001', { ...STREAM, ringBytes: 17 * 61440, frameBytes: 61440 }],
  [
    'stream,fill=32M,ring=8M,frame=256K,fps=60,change=10',
    {
      ...STREAM,
      fillBytes: 32 * MIB,
      ringBytes: 8 * MIB,
      frameBytes: 262144,
      framesPerSecond: 60,
      changePercent: 10,
    },
  ],
  ['erp', ERP],
  [
    'erp,heap=32M,hot=24M,pattern=zipf,words=2,step=1024,read=60,updates=50,rate=9000,sessions=256',
    {
      kind: 'erp',
      heapBytes: 32 * MIB,
      hotBytes: 24 * MIB,
      pattern: 'zipf',
      words: 2,
      stepBytes: 1024,
      readPercent: 60,
      updates: 50,
      ratePagesPerSecond: 9000,
      sessions: 256,
    },
  ],
  ['erp,heap=8M', { ...ERP, heapBytes: 8 * MIB, hotBytes: 8 * MIB }],
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
  ['lmbench,words=2', 'has no key "words"'],
  ['lmbench,size=0', 'key size is out of range'],
  ['lmbench,unit=2', 'key unit is unknown'],
  ['lmbench,stride=2', 'key stride is out of range'],
  ['lmbench,unit=1,stride=0', 'key stride is out of range'],
  ['lmbench,stride=48', 'key stride is out of range'],
  ['lmbench,stride=8K', 'key stride is out of range'],
  ['lmbench,stride=wide', 'key stride is not a size'],
  ['stream,hot=1M', 'has no key "hot"'],
  ['stream,frame=0', 'key frame is out of range'],
  ['stream,frame=2M', 'key frame is out of range'],
  ['stream,ring=0', 'key ring is out of range'],
  ['stream,fps=0', 'key fps is out of range'],
  ['stream,fps=1001', 'key fps is out of range'],
  ['stream,change=101', 'key change is out of range'],
  ['erp,fill=1M', 'has no key "fill"'],
  ['erp,heap=0', 'key heap is out of range'],
  ['erp,heap=1M,hot=2M', 'key hot is out of range'],
  ['erp,pattern=gauss', 'key pattern is unknown'],
  ['erp,updates=0', 'key updates is out of range'],
  ['erp,sessions=257', 'key sessions is out of range'],
  ['erp,words=65,step=64', 'words and step do not fit'],
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
    ['lmbench,size=17M', 16, 'key size is larger'],
    ['lmbench,fill=17M', 16, 'key fill is larger'],
    ['stream,ring=17M', 16, 'key ring is larger'],
    ['stream,ring=448K', 16, 'key ring is too small for a channel of each vCPU'],
    // The tables of the sessions lie behind the heap.
    ['erp,heap=16M', 16, 'key heap is larger'],
  ])('refuses %s in %i MiB on 4 vCPUs', (text, mib, message) => {
    const error = errorOf(() => checkWorkloadFits(parseWorkloadSpec(text), mib * MIB, 4));
    expect(error.message).toContain(message);
  });

  test.each([
    ...['memwrite,fill=16M,hot=16M', 'idle', 'ab', 'lmbench', 'stream', 'stream,ring=512K'],
    'erp,heap=16368K',
  ])('accepts %s in 16 MiB on 4 vCPUs', (text) => {
    expect(() => checkWorkloadFits(parseWorkloadSpec(text), 16 * MIB, 4)).not.toThrow();
  });
});
