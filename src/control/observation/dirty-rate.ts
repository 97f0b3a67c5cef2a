import { type Clock, PAGE_BYTES, type Random } from '../../base/index.ts';
import { DirtySampler, type Machine } from '../../guestmem/index.ts';

/** QEMU's ways to measure; it has a third one, dirty-ring, for which a guest here has no ring. */
export type DirtyRateMode = 'page-sampling' | 'dirty-bitmap';

export interface DirtyRateRequest {
  readonly kind: 'dirty-rate';
  readonly mode: DirtyRateMode;
  readonly calcTimeMs: number;
  /** For each GiB of RAM; of page-sampling. */
  readonly samplePages: number;
}

export interface DirtyRate {
  readonly bytesPerSecond: number;
  /** Of dirty-bitmap: a page that two vCPUs write counts for both. */
  readonly vcpuBytesPerSecond: readonly number[] | undefined;
  /** Shorter than what was asked for when a migration began meanwhile. */
  readonly measuredMs: number;
}

/**
 * QEMU samples a small guest with a handful of pages, which tells nothing; hashing so many takes a
 * tenth of a millisecond.
 */
const SAMPLE_PAGES_MIN = 128;
const GIB = 2 ** 30;

/**
 * How fast the guest dirties its RAM, while it runs. Ends early when `signal` aborts. Rejects with
 * E_WORKER_DIED.
 */
export function measureDirtyRate(
  machine: Machine,
  request: DirtyRateRequest,
  clock: Clock,
  random: Random,
  signal: AbortSignal,
): Promise<DirtyRate> {
  return request.mode === 'dirty-bitmap'
    ? measureByLogs(machine, request, clock, signal)
    : measureBySamples(machine, request, clock, random, signal);
}

/** Each page that was dirtied counts once, however often it was written. */
async function measureByLogs(
  machine: Machine,
  { calcTimeMs }: DirtyRateRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<DirtyRate> {
  const sampler = new DirtySampler(machine);
  await sampler.begin();
  const startMs = clock.nowMs();
  await clock.sleep(calcTimeMs, signal);
  const { pages, vcpuPages } = await sampler.sample();
  const measuredMs = clock.nowMs() - startMs;
  const rate = (count: number) => perSecond(count * PAGE_BYTES, measuredMs);
  return { bytesPerSecond: rate(pages), vcpuBytesPerSecond: vcpuPages.map(rate), measuredMs };
}

/** Hashes the same random pages twice: the guest is not touched, and no log is flipped. */
async function measureBySamples(
  machine: Machine,
  { calcTimeMs, samplePages }: DirtyRateRequest,
  clock: Clock,
  random: Random,
  signal: AbortSignal,
): Promise<DirtyRate> {
  const startMs = clock.nowMs();
  const samples = machine.memory.blocks.map((block) => {
    const { pageCount } = block.layout;
    const wanted = Math.floor((samplePages * pageCount * PAGE_BYTES) / GIB);
    const count = Math.min(pageCount, Math.max(SAMPLE_PAGES_MIN, wanted));
    const pages = Array.from({ length: count }, () => {
      const pfn = random.below(pageCount);
      return { pfn, hash: block.hashOf(pfn) };
    });
    return { block, pages };
  });
  await clock.sleep(calcTimeMs, signal);
  let dirtyBytes = 0;
  for (const { block, pages } of samples) {
    const changed = pages.filter(({ pfn, hash }) => block.hashOf(pfn) !== hash).length;
    dirtyBytes += (block.layout.pageCount * PAGE_BYTES * changed) / pages.length;
  }
  const measuredMs = clock.nowMs() - startMs;
  return {
    bytesPerSecond: perSecond(dirtyBytes, measuredMs),
    vcpuBytesPerSecond: undefined,
    measuredMs,
  };
}

function perSecond(bytes: number, spanMs: number): number {
  return spanMs > 0 ? (bytes * 1000) / spanMs : 0;
}
