import { PAGE_BYTES } from '../../../base/index.ts';
import { simPage, simPageVersion } from '../../../guest/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { SimulatedHost } from '../simulated-host.ts';

const PAGES_NAMED_MAX = 5;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/** Pages that hold something, and what. All others are zero. */
export type RamSnapshot = ReadonlyMap<number, Buffer>;

export interface RamCheckOptions {
  /** Also RAM that nobody should have touched: it costs more than the rest of a small history. */
  readonly readsAll: boolean;
}

/**
 * What the guest resumes from at the destination is, byte by byte, what it stood on when it was
 * paused at the source, and from then on what it has made of that itself. In post-copy each page is
 * held against that as soon as its received mark is seen, so one that is marked before it is whole,
 * and one that comes again over what the guest wrote, are found.
 */
export class RamCheck implements Checker {
  private readonly log: EventLog;
  private readonly options: RamCheckOptions;
  /** Pages that held something when the guest was paused. Undefined: it was not. */
  private captured: Map<number, Buffer> | undefined;
  private source: SimulatedHost | undefined;
  /** Where it was resumed, and the marks of the pages that have been looked at there. */
  private resumed: { readonly host: SimulatedHost; readonly looked: Uint8Array[] } | undefined;

  constructor(log: EventLog, options: RamCheckOptions) {
    this.log = log;
    this.options = options;
  }

  saw(event: SimulationEvent): void {
    const { kind, host } = event;
    if (kind === 'attempt') {
      this.source = host;
      this.captured = undefined;
      this.resumed = undefined;
    } else if (kind === 'paused' && event.reason === 'migration') {
      if (host === this.source && this.resumed === undefined) this.capture(host);
    } else if (kind === 'resumed' && event.reason === 'ownership') {
      if (host !== this.source) this.resume(host);
    } else if (kind === 'wrote') {
      if (host === this.resumed?.host) this.wrote(host, event.pfn);
    } else if (kind === 'sends') {
      // An engine says something after each frame of pages that it has applied.
      if (host === this.resumed?.host && host.guest !== undefined) this.lookAtNewPages(host);
    }
  }

  /** At the end: every page is what the guest has made of it, here. */
  checkAll({ guest, name }: SimulatedHost): void {
    if (guest === undefined) return;
    const { memory, machine } = guest;
    const pages = this.pagesOf(guest);
    const different = pages.filter((pfn) => !pageAt(memory, pfn).equals(this.expected(pfn)));
    this.tell(name, different);
    for (const problem of machine.problems(machine.heldPages()).slice(0, PAGES_NAMED_MAX))
      this.log.violation(`the guest at ${name} is in an impossible state: ${problem}`);
  }

  /** What the guest has made of its RAM up to now, wherever its pages are. */
  snapshot(): RamSnapshot {
    // A page that is written gets another buffer.
    return new Map(this.captured);
  }

  /** Pages of the host that are not as in `pages`, by what either of them holds. */
  differences({ guest }: SimulatedHost, pages: RamSnapshot): readonly number[] {
    if (guest === undefined) return [];
    const { memory, machine } = guest;
    const held = this.options.readsAll
      ? range(memory.pageCount)
      : [...new Set([...machine.heldPages(), ...pages.keys()])];
    return held.filter((pfn) => !pageAt(memory, pfn).equals(pages.get(pfn) ?? ZEROS));
  }

  /** The guest was taken back, and is what it was then; from now on it is watched there. */
  goBackTo(host: SimulatedHost, pages: RamSnapshot): void {
    const { blocks = [] } = host.guest?.memory ?? {};
    const looked = blocks.map((block) => Uint8Array.from(receivedMarks(block)));
    this.captured = new Map(pages);
    this.resumed = { host, looked };
  }

  private capture({ guest }: SimulatedHost): void {
    this.captured = new Map();
    if (guest === undefined) return;
    for (const pfn of this.pagesOf(guest)) {
      const page = pageAt(guest.memory, pfn);
      if (!page.equals(ZEROS)) this.captured.set(pfn, Buffer.from(page));
    }
  }

  private resume(host: SimulatedHost): void {
    const { guest, name } = host;
    if (guest === undefined || this.captured === undefined)
      return this.log.violation(`${name} resumes a guest that was never paused`);
    const { blocks, pageCount } = guest.memory;
    this.resumed = { host, looked: blocks.map(({ layout }) => new Uint8Array(layout.pageCount)) };
    this.lookAtNewPages(host);
    const isWhole = blocks.every((block) => receivedMarks(block).every((mark) => mark !== 0));
    if (!isWhole) return;
    for (const problem of guest.machine.problems(this.pagesOf(guest)).slice(0, PAGES_NAMED_MAX))
      this.log.violation(`${name} resumes an impossible state: ${problem}`);
    // What was never touched at either side is not looked at page by page.
    if (this.options.readsAll) this.tell(name, this.differing(guest.memory, range(pageCount)));
  }

  /** The store is done: the page must be the next version of what was there. */
  private wrote({ guest, name }: SimulatedHost, pfn: number): void {
    if (guest === undefined || this.captured === undefined) return;
    const { memory, description } = guest;
    const before = this.expected(pfn);
    const after = Buffer.from(
      simPage(Number(description.config.seed), pfn, simPageVersion(before) + 1),
    );
    const page = pageAt(memory, pfn);
    if (!page.equals(after)) {
      this.log.violation(`page ${pfn} at ${name} was not what the guest had made of it`);
    }
    this.captured.set(pfn, Buffer.from(page));
    const at = memory.locate(pfn * PAGE_BYTES);
    const looked = this.resumed?.looked[at?.block.layout.index ?? 0];
    if (at !== undefined && looked !== undefined) looked[at.offsetBytes / PAGE_BYTES] = 1;
  }

  private lookAtNewPages({ guest, name }: SimulatedHost): void {
    for (const block of guest?.memory.blocks ?? []) {
      const looked = this.resumed?.looked[block.layout.index];
      const marks = receivedMarks(block);
      if (looked === undefined || marks.equals(looked)) continue;
      const fresh: number[] = [];
      for (const [local, mark] of marks.entries()) {
        if (mark !== looked[local]) fresh.push(block.layout.firstPfn + local);
        looked[local] = mark;
      }
      // guest is there, since its blocks are.
      if (guest !== undefined)
        this.tell(name, this.differing(guest.memory, this.worthALook(fresh, guest)));
    }
  }

  private worthALook(pages: readonly number[], guest: Guest): readonly number[] {
    const held = new Set(this.pagesOf(guest));
    return pages.filter((pfn) => held.has(pfn));
  }

  private differing(memory: Guest['memory'], pages: readonly number[]): readonly number[] {
    return pages.filter((pfn) => !pageAt(memory, pfn).equals(this.expected(pfn)));
  }

  private tell(name: string, different: readonly number[]): void {
    if (different.length === 0) return;
    const named = different.slice(0, PAGES_NAMED_MAX).join(' ');
    this.log.violation(`RAM differs at ${name} in ${different.length} pages: ${named}`);
  }

  private expected(pfn: number): Buffer {
    return this.captured?.get(pfn) ?? ZEROS;
  }

  private pagesOf({ memory, machine }: Guest): readonly number[] {
    if (this.options.readsAll) return range(memory.pageCount);
    return [...new Set([...machine.heldPages(), ...(this.captured?.keys() ?? [])])];
  }
}

type Guest = NonNullable<SimulatedHost['guest']>;

function receivedMarks({ bytes, layout }: Guest['memory']['blocks'][number]): Buffer {
  return bytes.subarray(layout.receivedMap, layout.receivedMap + layout.pageCount);
}

function pageAt(memory: Guest['memory'], pfn: number): Buffer {
  const at = memory.locate(pfn * PAGE_BYTES);
  if (at === undefined) throw new RangeError(`Page ${pfn} is outside RAM`);
  return at.block.ram.subarray(at.offsetBytes, at.offsetBytes + PAGE_BYTES);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
