import { PAGE_BYTES } from '../../base/index.ts';
import { invalid, pagesOf, sizeOf, type WorkloadKeys, wholeNumber } from './workload-keys.ts';

/**
 * The memory write of LMbench (`bw_mem SIZE wr`): sweeps over a range for ever and writes one word
 * or byte per stride. `size=16M,unit=1,stride=1K` is the load generator that was published with
 * XBRLE.
 */
export interface LmbenchSpec {
  readonly kind: 'lmbench';
  readonly fillBytes: number;
  readonly sizeBytes: number;
  /** What one write changes: a byte or a word of four. */
  readonly unitBytes: 1 | 4;
  /** A power of two, from the unit to a page. */
  readonly strideBytes: number;
  /** Of all vCPUs together; 0: as fast as they can. */
  readonly ratePagesPerSecond: number;
}

export const LMBENCH_KEYS = ['fill', 'size', 'unit', 'stride', 'rate'] as const;

const SIZE_BYTES_DEFAULT = 16 * 2 ** 20;
/** bw_mem writes every fourth int. */
const STRIDE_DEFAULT = '16';

export function buildLmbench(values: WorkloadKeys): LmbenchSpec {
  const unitBytes = unitOf(values.get('unit') ?? '4');
  const strideBytes = sizeOf('stride', values.get('stride') ?? STRIDE_DEFAULT);
  const isPower = 2 ** Math.round(Math.log2(strideBytes)) === strideBytes;
  if (!isPower || strideBytes < unitBytes || strideBytes > PAGE_BYTES) {
    throw invalid('Workload key stride is out of range', {
      key: 'stride',
      value: strideBytes,
      allowed: `a power of two from ${unitBytes} to ${PAGE_BYTES}`,
    });
  }
  return {
    kind: 'lmbench',
    fillBytes: pagesOf(values, 'fill', 0, 0),
    sizeBytes: pagesOf(values, 'size', SIZE_BYTES_DEFAULT, PAGE_BYTES),
    unitBytes,
    strideBytes,
    ratePagesPerSecond: wholeNumber(values, 'rate', 0, 0, 1e9),
  };
}

export function formatLmbench(spec: LmbenchSpec): string {
  return [
    'lmbench',
    `fill=${spec.fillBytes}`,
    `size=${spec.sizeBytes}`,
    `unit=${spec.unitBytes}`,
    `stride=${spec.strideBytes}`,
    `rate=${spec.ratePagesPerSecond}`,
  ].join(',');
}

function unitOf(text: string): 1 | 4 {
  if (text === '1') return 1;
  if (text === '4') return 4;
  throw invalid(`Workload key unit is unknown: ${JSON.stringify(text)}`, {
    key: 'unit',
    value: text,
    known: ['1', '4'],
  });
}
