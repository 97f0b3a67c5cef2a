import {
  type Clock,
  type JournalInfo,
  MACHINE_STATE_BYTES_MAX,
  PAGE_BYTES,
  type ReachFault,
  SternaError,
  toSternaError,
} from '../../../base/index.ts';
import type { Machine, RamBlock } from '../../../guestmem/index.ts';
import {
  type BodyResult,
  decodeJournalPoint,
  decodeJournalState,
  decodePageTable,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type JournalAckBody,
  type JournalPointBody,
  type MachineStateBody,
  type PageEntry,
} from '../../../protocol/index.ts';
import { JournalStage } from './journal-stage.ts';
import { SwitchHashes } from './switch-hashes.ts';

/** A sender of pages has slots 0 and 1 of a block (guestmem/block/block-layout.ts). */
const STAGING_SLOT = 2;

export type JournalMessage = 'JOURNAL_PAGES' | 'JOURNAL_STATE' | 'JOURNAL_POINT';

/** How the journal speaks on the connection that there is now. */
export interface JournalLink {
  acknowledge(body: JournalAckBody): void;
  /** What came is wrong, as it turned out later. */
  refuse(error: SternaError): void;
}

export interface JournalOptions {
  readonly machine: Machine;
  readonly bufferBytes: number;
  readonly clock: Clock;
  readonly reached: ReachFault;
}

/**
 * What the destination changes, on its way back (docs/protocol.md, Journal). What comes is staged;
 * at JOURNAL_POINT the frozen guest here becomes the guest of that point, vCPUs and RAM at once. So
 * whoever takes the guest back finds the last whole point, and nothing has to be loaded then.
 */
export class Journal {
  private readonly options: JournalOptions;
  private readonly stage: JournalStage;
  private readonly hashes: SwitchHashes;
  private stateArea: Uint8Array | undefined;
  private link: JournalLink | undefined;
  private state: MachineStateBody | undefined;
  private batches = 0;
  private entries = 0;
  /** The point that is being taken over. */
  private applying: Promise<void> | undefined;
  private lastPoint = 0;
  private lastPointAtMs: number | undefined;
  private points = 0;
  private pages = 0;
  private bytes = 0;

  constructor(options: JournalOptions) {
    const { memory } = options.machine;
    this.options = options;
    this.stage = new JournalStage(memory, Math.floor(options.bufferBytes / PAGE_BYTES));
    this.hashes = new SwitchHashes(memory);
  }

  /** Of pages that it has overwritten, as they were at the switch. */
  get switchHashes(): SwitchHashes {
    return this.hashes;
  }

  /** Resolves when no point is being taken over: the guest is that of a whole point. */
  get settled(): Promise<void> {
    return this.applying ?? Promise.resolve();
  }

  /** From now on it comes on another connection. What came on the last one is dropped. */
  linked(link: JournalLink): void {
    this.link = link;
    this.forget();
  }

  /** Where the body of a message goes. */
  place(header: FrameHeader, isPages: boolean): Uint8Array | SternaError {
    if (!isPages) {
      this.stateArea ??= new Uint8Array(MACHINE_STATE_BYTES_MAX + FRAME_HEADER_BYTES);
      return this.stateArea;
    }
    const block = this.options.machine.memory.blocks[header.block];
    if (block !== undefined) return block.slot(STAGING_SLOT).subarray(FRAME_HEADER_BYTES);
    return badJournal('Journal is of a RAM block that does not exist', { block: header.block });
  }

  /** Throws what is wrong with it; then nothing of the guest was changed. */
  receive(name: JournalMessage, header: FrameHeader, body: Uint8Array): void {
    if (this.applying !== undefined) throw badJournal('Journal goes on before it was acknowledged');
    switch (name) {
      case 'JOURNAL_PAGES':
        return this.receivePages(header, body);
      case 'JOURNAL_STATE':
        // Decoded copies: the body is only lent.
        this.state = accept(decodeJournalState(body.slice()));
        return;
      case 'JOURNAL_POINT':
        return this.receivePoint(accept(decodeJournalPoint(body)));
    }
  }

  /** Throws E_PROTOCOL_BAD_BODY: what the destination says is missing, it has changed before. */
  refuseMissing(block: RamBlock, missing: Uint8Array): void {
    for (let pfn = 0; pfn < block.layout.pageCount; pfn += 1) {
      if ((((missing[pfn >>> 3] ?? 0) >>> (pfn & 7)) & 1) === 0) continue;
      if (!this.hashes.has(block, pfn)) continue;
      throw badJournal('A page of the journal is said to be missing', pageDetail(block, pfn));
    }
  }

  /** The guest is whole at the destination, or goes on here. */
  end(): void {
    this.link = undefined;
    this.forget();
  }

  info(nowMs: number): JournalInfo {
    const { points, pages, bytes, lastPointAtMs } = this;
    return {
      points,
      pages,
      bytes,
      pauseMs: 0,
      longestPauseMs: 0,
      recentPausesMs: [],
      lastPointMs: lastPointAtMs === undefined ? undefined : nowMs - lastPointAtMs,
      lagPages: this.stage.pageCount,
      isOverfull: false,
      error: undefined,
    };
  }

  private receivePages(header: FrameHeader, body: Uint8Array): void {
    const block = this.blockOf(header);
    const { kernels } = block;
    const at = block.slotAddress(STAGING_SLOT) + FRAME_HEADER_BYTES;
    const table = at + header.bodyBytes - header.checkedBytes;
    if (kernels.crc32c(table, header.checkedBytes) >>> 0 !== header.checkedCrc) {
      throw new SternaError('E_PROTOCOL_CHECKSUM', 'Page table checksum does not match');
    }
    const entries = accept(decodePageTable(body, header.checkedBytes));
    let payload = at;
    for (const entry of entries) {
      this.check(block, entry, payload);
      payload += entry.kind === 'ZERO_RUN' ? 0 : entry.payload.length;
    }
    for (const entry of entries) this.put(block, entry);
    this.batches += 1;
    this.bytes += FRAME_HEADER_BYTES + header.bodyBytes;
    this.link?.acknowledge({ point: this.lastPoint, batches: this.batches });
  }

  private check(block: RamBlock, entry: PageEntry, payload: number): void {
    const { pfn } = entry;
    const count = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
    const detail = pageDetail(block, pfn);
    if (entry.kind !== 'ZERO_RUN' && entry.kind !== 'RAW') {
      throw badJournal('Journal has a page that is not whole', detail);
    }
    if (pfn + count > block.layout.pageCount) throw badJournal('Journal is beyond RAM', detail);
    for (let page = pfn; page < pfn + count; page += 1) {
      if (!block.isDirty(page)) continue;
      const missing = pageDetail(block, page);
      throw badJournal('Journal has a page that the destination does not have', missing);
    }
    if (entry.kind === 'ZERO_RUN') return;
    if (BigInt.asUintN(64, block.kernels.hashPage(payload, pfn)) === entry.hash) return;
    throw new SternaError('E_PAGE_HASH', 'Page does not have the announced hash', { detail });
  }

  private put(block: RamBlock, entry: PageEntry): void {
    if (entry.kind !== 'ZERO_RUN') this.stage.put(block, entry.pfn, entry.payload);
    else for (let n = 0; n < entry.pages; n += 1) this.stage.put(block, entry.pfn + n, undefined);
    const pages = entry.kind === 'ZERO_RUN' ? entry.pages : 1;
    this.entries += pages;
    this.pages += pages;
  }

  private receivePoint(told: JournalPointBody): void {
    const { state, batches, entries } = this;
    if (state === undefined) throw badJournal('A point of the journal has no machine state');
    if (told.batches !== batches || told.pages !== entries || told.point <= this.lastPoint) {
      const { lastPoint } = this;
      const detail = { ...told, receivedBatches: batches, receivedPages: entries, lastPoint };
      throw badJournal('A point of the journal does not add up', detail);
    }
    this.applying = this.apply(told, state).finally(() => {
      this.applying = undefined;
    });
  }

  /**
   * The state first: when the machine does not take it, nothing was changed. The reason
   * `checkpoint` outlives this thread, should it die on the way. Never rejects.
   */
  private async apply({ point, ageMs }: JournalPointBody, state: MachineStateBody): Promise<void> {
    const { machine, clock, reached } = this.options;
    const { link } = this;
    const atMs = clock.nowMs() - ageMs;
    try {
      await machine.pause('checkpoint');
      await machine.load(state);
    } catch (thrown) {
      machine.resume('checkpoint');
      const error = toSternaError(thrown, 'E_MACHINE_STATE', 'State of the journal is not taken');
      return link?.refuse(error);
    }
    this.stage.drain((block, pfn, content) => {
      this.hashes.keep(block, pfn);
      block.overwrite(pfn, content);
    });
    machine.resume('checkpoint');
    this.clear();
    this.lastPoint = point;
    this.lastPointAtMs = atMs;
    this.points += 1;
    reached('source.journal-applied');
    if (this.link === link) link?.acknowledge({ point, batches: 0 });
  }

  private forget(): void {
    // What is being taken over is whole, and goes on.
    if (this.applying === undefined) this.clear();
  }

  private clear(): void {
    this.state = undefined;
    this.stage.clear();
    this.batches = 0;
    this.entries = 0;
  }

  private blockOf(header: FrameHeader): RamBlock {
    const block = this.options.machine.memory.blocks[header.block];
    if (block !== undefined) return block;
    throw badJournal('Journal is of a RAM block that does not exist', { block: header.block });
  }
}

/** The channel closes with what is thrown here. */
function accept<T>(result: BodyResult<T>): T {
  if (result.kind === 'malformed') throw result.error;
  return result.body;
}

function badJournal(text: string, detail: Record<string, unknown> = {}): SternaError {
  return new SternaError('E_PROTOCOL_BAD_BODY', text, { detail });
}

function pageDetail({ layout }: RamBlock, pfn: number): Record<string, unknown> {
  return { block: layout.name, pfn };
}
