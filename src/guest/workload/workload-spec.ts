import { formatBytes, PAGE_BYTES } from '../../base/index.ts';
import { buildErp, ERP_KEYS, type ErpSpec, formatErp } from './erp-spec.ts';
import { buildLmbench, formatLmbench, LMBENCH_KEYS, type LmbenchSpec } from './lmbench-spec.ts';
import {
  buildStream,
  checkChannels,
  formatStream,
  STREAM_KEYS,
  type StreamSpec,
} from './stream-spec.ts';
import {
  buildTraceSpec,
  formatTraceSpec,
  TRACE_KEYS,
  type TraceSpec,
  traceBytes,
} from './trace-spec.ts';
import {
  changedWords,
  invalid,
  oneOf,
  pagesOf,
  readKeys,
  type WorkloadKeys,
  wholeNumber,
} from './workload-keys.ts';
import { WRITE_PATTERNS, type WritePattern } from './write-pattern.ts';

/**
 * What the guest does; the text form is `memwrite,fill=900M,hot=64M,rate=20000,words=8,step=512`.
 */
export type WorkloadSpec =
  | IdleSpec
  | MemwriteSpec
  | AbSpec
  | LmbenchSpec
  | StreamSpec
  | ErpSpec
  | TraceSpec;

/** Does nothing but tick; optionally fills memory first. */
export interface IdleSpec {
  readonly kind: 'idle';
  readonly fillBytes: number;
  readonly content: FillContent;
}

/** Fills memory, then writes its hot range in a loop. */
export interface MemwriteSpec {
  readonly kind: 'memwrite';
  readonly fillBytes: number;
  readonly content: FillContent;
  readonly hotBytes: number;
  readonly pattern: WritePattern;
  /** Of all vCPUs together; 0: as fast as they can. */
  readonly ratePagesPerSecond: number;
  /** 4-byte words that a write changes in a page, and their distance. */
  readonly words: number;
  readonly stepBytes: number;
  /** Share of the accesses that only read. */
  readonly readPercent: number;
}

/** What memory is filled with. Noise does not get shorter by any codec, text to less than half. */
export const FILL_CONTENTS = ['noise', 'text', 'mixed'] as const;
export type FillContent = (typeof FILL_CONTENTS)[number];

export function contentOf(spec: WorkloadSpec): FillContent {
  return spec.kind === 'idle' || spec.kind === 'memwrite' ? spec.content : 'noise';
}

/** QEMU's migration test guest. */
export interface AbSpec {
  readonly kind: 'ab';
}

/** `ab` writes from here to AB_END_BYTES, or to the end of RAM. */
export const AB_START_BYTES = 2 ** 20;
export const AB_END_BYTES = 100 * 2 ** 20;

const HOT_BYTES_DEFAULT = 16 * 2 ** 20;

interface WorkloadKind {
  readonly keys: readonly string[];
  build(values: WorkloadKeys): WorkloadSpec;
}

/** A map, because the name comes from outside and an object has names of its own. */
const KINDS: ReadonlyMap<string, WorkloadKind> = new Map<string, WorkloadKind>([
  ['idle', { keys: ['fill', 'content'], build: buildIdle }],
  [
    'memwrite',
    {
      keys: ['fill', 'hot', 'pattern', 'rate', 'words', 'step', 'read', 'content'],
      build: buildMemwrite,
    },
  ],
  ['ab', { keys: [], build: () => ({ kind: 'ab' }) }],
  ['lmbench', { keys: LMBENCH_KEYS, build: buildLmbench }],
  ['stream', { keys: STREAM_KEYS, build: buildStream }],
  ['erp', { keys: ERP_KEYS, build: buildErp }],
  ['trace', { keys: TRACE_KEYS, build: buildTraceSpec }],
]);

/** Names of all workloads. */
const WORKLOAD_KINDS: readonly string[] = [...KINDS.keys()];

/** Throws E_CONFIG_INVALID, which names the key, the value and what is allowed. */
export function parseWorkloadSpec(text: string): WorkloadSpec {
  const [name = '', ...pairs] = text.trim().split(',');
  const kind = KINDS.get(name);
  if (kind === undefined) {
    throw invalid(`Unknown workload ${JSON.stringify(name)}`, {
      workload: name,
      known: WORKLOAD_KINDS,
    });
  }
  return kind.build(readKeys(name, pairs, kind.keys));
}

/** The text from which `parseWorkloadSpec` makes an equal SPEC. */
export function formatWorkloadSpec(spec: WorkloadSpec): string {
  switch (spec.kind) {
    case 'ab':
      return 'ab';
    case 'idle':
      return formatIdle(spec);
    case 'memwrite':
      return formatMemwrite(spec);
    case 'lmbench':
      return formatLmbench(spec);
    case 'stream':
      return formatStream(spec);
    case 'erp':
      return formatErp(spec);
    case 'trace':
      return formatTraceSpec(spec);
  }
}

/** Throws E_CONFIG_INVALID when the workload does not fit into that much RAM, on so many vCPUs. */
export function checkWorkloadFits(spec: WorkloadSpec, ramBytes: number, vcpuCount = 1): void {
  for (const [key, bytes] of Object.entries(sizesOf(spec, vcpuCount))) {
    if (bytes > ramBytes) {
      throw invalid(`Workload key ${key} is larger than the guest's RAM`, {
        key,
        value: formatBytes(bytes),
        allowed: `0 to ${formatBytes(ramBytes)}`,
      });
    }
  }
  if (spec.kind === 'stream') checkChannels(spec, vcpuCount);
  if (spec.kind === 'ab' && ramBytes <= AB_START_BYTES) {
    throw invalid('Workload ab needs more RAM', {
      allowed: `more than ${formatBytes(AB_START_BYTES)}`,
    });
  }
}

/** What of RAM each key asks for, bytes. */
function sizesOf(spec: WorkloadSpec, vcpuCount: number): Readonly<Record<string, number>> {
  switch (spec.kind) {
    case 'ab':
      return {};
    case 'idle':
      return { fill: spec.fillBytes };
    case 'memwrite':
      return { fill: spec.fillBytes, hot: spec.hotBytes };
    case 'lmbench':
      return { fill: spec.fillBytes, size: spec.sizeBytes };
    case 'stream':
      return { fill: spec.fillBytes, ring: spec.ringBytes };
    case 'erp':
      // Behind the heap each vCPU has the table of its sessions.
      return { heap: spec.heapBytes + vcpuCount * PAGE_BYTES };
    case 'trace':
      return { script: traceBytes(spec) };
  }
}

function buildIdle(values: WorkloadKeys): IdleSpec {
  return { kind: 'idle', fillBytes: pagesOf(values, 'fill', 0, 0), content: contentFrom(values) };
}

function contentFrom(values: WorkloadKeys): FillContent {
  return oneOf(values, 'content', FILL_CONTENTS, 'noise');
}

/** Noise is not told: a machine of an earlier version reads the text too. */
function formatContent(content: FillContent): readonly string[] {
  return content === 'noise' ? [] : [`content=${content}`];
}

function formatIdle({ fillBytes, content }: IdleSpec): string {
  const fill = fillBytes === 0 ? [] : [`fill=${fillBytes}`];
  return ['idle', ...fill, ...formatContent(content)].join(',');
}

function buildMemwrite(values: WorkloadKeys): MemwriteSpec {
  const fillBytes = pagesOf(values, 'fill', 0, 0);
  const hotDefault = fillBytes > 0 ? fillBytes : HOT_BYTES_DEFAULT;
  return {
    kind: 'memwrite',
    fillBytes,
    content: contentFrom(values),
    hotBytes: pagesOf(values, 'hot', hotDefault, PAGE_BYTES),
    pattern: oneOf(values, 'pattern', WRITE_PATTERNS, 'seq'),
    ratePagesPerSecond: wholeNumber(values, 'rate', 0, 0, 1e9),
    ...changedWords(values, 1),
    readPercent: wholeNumber(values, 'read', 0, 0, 100),
  };
}

function formatMemwrite(spec: MemwriteSpec): string {
  return [
    'memwrite',
    `fill=${spec.fillBytes}`,
    `hot=${spec.hotBytes}`,
    `pattern=${spec.pattern}`,
    `rate=${spec.ratePagesPerSecond}`,
    `words=${spec.words}`,
    `step=${spec.stepBytes}`,
    `read=${spec.readPercent}`,
    ...formatContent(spec.content),
  ].join(',');
}
