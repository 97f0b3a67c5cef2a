import { type BodyResult, decodePageMap, decodePageTable } from '../../../protocol/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { SimulatedHost } from '../simulated-host.ts';

type Frame = Extract<SimulationEvent, { kind: 'sends' | 'receives' }>;

/**
 * In post-copy nothing is sent twice: a source sends only pages that it has told to be missing,
 * each once, and after a recovery exactly those that the received maps lack, and whole: what a
 * delta would be based on may be damaged there.
 */
export class OwedPagesCheck implements Checker {
  private readonly log: EventLog;
  private source: SimulatedHost | undefined;
  /** By block, a bit for each page that is still to be sent. */
  private readonly owed = new Map<number, Uint8Array>();
  private isPostcopy = false;
  private isGranted = false;
  private isRecovered = false;

  constructor(log: EventLog) {
    this.log = log;
  }

  saw(event: SimulationEvent): void {
    if (event.kind === 'attempt') {
      this.source = event.host;
      this.owed.clear();
      this.isPostcopy = false;
      this.isGranted = false;
      this.isRecovered = false;
    }
    if (event.host !== this.source) return;
    if (event.kind === 'sends') this.sends(event);
    if (event.kind !== 'receives') return;
    if (event.name === 'RECOVERY') this.isRecovered = true;
    if (event.name === 'RECEIVED_MAP') this.learns(event);
  }

  private sends(frame: Frame): void {
    if (frame.name === 'MISSING_MAP') {
      const map = this.read(decodePageMap('MISSING_MAP', frame.body, this.pagesOf(frame.block)));
      if (map !== undefined) this.owed.set(frame.block, map.bitmap);
      this.isPostcopy = true;
    } else if (frame.name === 'GRANT') {
      this.isGranted = true;
    } else if (frame.name === 'PAGE_BATCH' && this.isPostcopy && this.isGranted) {
      this.sendsPages(frame);
    }
  }

  private sendsPages({ block, body, checkedBytes }: Frame): void {
    for (const entry of this.read(decodePageTable(body, checkedBytes)) ?? []) {
      const count = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
      const isDelta = entry.kind === 'XBZRLE' || entry.kind === 'LZ4_XBZRLE';
      if (isDelta && this.isRecovered) this.log.violation('a delta was sent after a recovery');
      for (let pfn = entry.pfn; pfn < entry.pfn + count; pfn += 1) this.sendsPage(block, pfn);
    }
  }

  private sendsPage(block: number, pfn: number): void {
    const owed = this.owed.get(block);
    const byte = owed?.[pfn >>> 3] ?? 0;
    if (((byte >>> (pfn & 7)) & 1) === 0)
      this.log.violation(`page ${block}:${pfn} was sent, which the destination had or was sent`);
    if (owed !== undefined) owed[pfn >>> 3] = byte & ~(1 << (pfn & 7));
  }

  private learns({ block, body }: Frame): void {
    // What is damaged on the way is refused by its checksum before it is seen here.
    const map = this.read(decodePageMap('RECEIVED_MAP', body, this.pagesOf(block)));
    if (map !== undefined)
      this.owed.set(
        block,
        map.bitmap.map((byte) => ~byte),
      );
  }

  private pagesOf(block: number): number {
    return this.source?.guest?.memory.blocks[block]?.layout.pageCount ?? 0;
  }

  private read<T>(result: BodyResult<T>): T | undefined {
    if (result.kind === 'ok') return result.body;
    this.log.violation(`a body cannot be read: ${result.error.message}`);
    return undefined;
  }
}
