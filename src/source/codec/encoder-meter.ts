import { PAGE_BYTES } from '../../base/index.ts';
import type { TryCounts } from '../../guestmem/index.ts';
import { PAGE_ENTRY_BYTES } from '../../protocol/index.ts';
import type { EncoderMeasurement } from './choose-codec.ts';

/**
 * What was tried earlier counts half as soon as so many more were, or after that time: while little
 * is tried, one bad moment of the host must not be remembered for long.
 */
const MEMORY_COUNT = 256;
const MEMORY_MS = 200;

/** Sums over what was tried lately, of one kind: pages, or deltas. */
class TrySums {
  private count = 0;
  private halvedMs = 0;
  private ms = 0;
  private bytesBefore = 0;
  private bytesAfter = 0;

  add(nowMs: number, count: number, ms: number, bytesBefore: number, bytesAfter: number): void {
    if (count === 0) return;
    if (this.count > MEMORY_COUNT || nowMs - this.halvedMs > MEMORY_MS) {
      this.halvedMs = nowMs;
      this.count /= 2;
      this.ms /= 2;
      this.bytesBefore /= 2;
      this.bytesAfter /= 2;
    }
    this.count += count;
    this.ms += ms;
    this.bytesBefore += bytesBefore;
    this.bytesAfter += bytesAfter;
  }

  get means(): EncoderMeasurement | undefined {
    if (this.count === 0) return undefined;
    return {
      msEach: this.ms / this.count,
      bytesBefore: this.bytesBefore / this.count + PAGE_ENTRY_BYTES,
      bytesAfter: this.bytesAfter / this.count + PAGE_ENTRY_BYTES,
    };
  }
}

/** What LZ4 costs and gains on this processor and for this guest. */
export class EncoderMeter {
  private readonly pageSums = new TrySums();
  private readonly deltaSums = new TrySums();

  /** One call of the kernel tried both kinds, so its time is shared out by their bytes. */
  add(made: TryCounts, ms: number, nowMs: number): void {
    const pageBytes = made.triedPages * PAGE_BYTES;
    const deltaBytes = made.triedDeltaBytes;
    const share = pageBytes + deltaBytes === 0 ? 0 : pageBytes / (pageBytes + deltaBytes);
    const pagesAfter = pageBytes - made.lz4Pages * PAGE_BYTES + made.lz4Bytes;
    const deltasAfter = deltaBytes - made.lz4DeltaBytesBefore + made.lz4DeltaBytes;
    this.pageSums.add(nowMs, made.triedPages, ms * share, pageBytes, pagesAfter);
    this.deltaSums.add(nowMs, made.triedDeltas, ms * (1 - share), deltaBytes, deltasAfter);
  }

  get pages(): EncoderMeasurement | undefined {
    return this.pageSums.means;
  }

  get deltas(): EncoderMeasurement | undefined {
    return this.deltaSums.means;
  }
}
