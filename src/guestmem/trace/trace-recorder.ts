import type { Clock, Random } from '../../base/index.ts';
import { BusyMeter } from '../busy-meter.ts';
import { type DirtySample, DirtySampler } from '../dirty-sampler.ts';
import type { Machine } from '../machine.ts';
import { ChangeSampler } from './change-sampler.ts';
import { bitmapOfPages, pagesOfBitmap } from './page-set.ts';
import type { TraceHeader } from './trace.ts';
import { TraceEncoder } from './trace-encoder.ts';

export interface TraceSettings {
  readonly intervalMs: number;
  /** How long to record; undefined: until it is ended. */
  readonly spanMs: number | undefined;
}

export interface RecordedTrace {
  readonly intervals: number;
  readonly spanMs: number;
  /** Pages that were dirtied, counted once in each interval. */
  readonly dirtiedPages: number;
  readonly fileBytes: number;
}

/** So many pages tell to within a few percent how much of RAM is zero, and how well it packs. */
const CONTENT_SAMPLES = 512;
/** A sample takes about 50 us, so that all of them take about a hundredth of a core. */
const SAMPLES_PER_MS = 0.2;

/**
 * Records what a running guest dirties, for as long as it is asked to or until `signal` aborts;
 * what was recorded so far is whole then. `write` gets the file piece by piece. Rejects with
 * E_WORKER_DIED, or what `write` throws.
 */
export async function recordTrace(
  machine: Machine,
  settings: TraceSettings,
  clock: Clock,
  random: Random,
  signal: AbortSignal,
  write: (bytes: Uint8Array) => void,
): Promise<RecordedTrace> {
  const { memory } = machine;
  const encoder = new TraceEncoder(headerOf(machine, settings.intervalMs));
  const sampler = new DirtySampler(machine);
  const samplesMax = Math.ceil(settings.intervalMs * SAMPLES_PER_MS);
  const changes = new ChangeSampler(memory, random, samplesMax);
  let fileBytes = 0;
  const append = (bytes: Uint8Array) => {
    fileBytes += bytes.length;
    write(bytes);
  };
  await sampler.begin();
  const populated = populatedPages(machine);
  const bitmap = bitmapOfPages(populated, memory.pageCount);
  append(encoder.begin(bitmap, changes.contents(populated, CONTENT_SAMPLES)));
  const startMs = clock.nowMs();
  const busy = new BusyMeter(machine, startMs);
  let [lastMs, intervals, dirtiedPages] = [startMs, 0, 0];
  while (!signal.aborted && lastMs - startMs < (settings.spanMs ?? Number.POSITIVE_INFINITY)) {
    await clock.sleep(Math.max(0, lastMs + settings.intervalMs - clock.nowMs()), signal);
    const pages = dirtiedPagesOf(machine, await sampler.sample());
    const nowMs = clock.nowMs();
    const spanMs = nowMs - lastMs;
    lastMs = nowMs;
    const busyShare = busy.share(nowMs);
    busy.restart(nowMs);
    const sampled = changes.sample(pages, intervals);
    append(encoder.interval({ spanMs, busyShare, pages, changes: sampled }));
    intervals += 1;
    dirtiedPages += pages.length;
  }
  append(encoder.end());
  return { intervals, spanMs: lastMs - startMs, dirtiedPages, fileBytes };
}

function headerOf({ description }: Machine, intervalMs: number): TraceHeader {
  const { ramBlocks, vcpuCount, config } = description;
  const workload = typeof config.workload === 'string' ? config.workload : '';
  return { ramBlocks, vcpuCount, workload, intervalMs };
}

/** After a flip: what was written before is in the populated bitmaps. */
function populatedPages({ memory }: Machine): Uint32Array {
  return joined(
    memory.blocks.map(({ bytes, layout }) => {
      const { populatedBitmap, pageCount, firstPfn } = layout;
      const bitmap = bytes.subarray(populatedBitmap, populatedBitmap + Math.ceil(pageCount / 8));
      return pagesOfBitmap(bitmap, firstPfn);
    }),
  );
}

function dirtiedPagesOf({ memory }: Machine, { bitmaps }: DirtySample): Uint32Array {
  return joined(
    memory.blocks.map(({ layout }, index) =>
      // The sampler makes one for each block.
      pagesOfBitmap(bitmaps[index] as Uint8Array, layout.firstPfn),
    ),
  );
}

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const whole = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
