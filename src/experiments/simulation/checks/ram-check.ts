import { PAGE_BYTES } from '../../../base/index.ts';
import type { Checker, EventLog, SimulationEvent } from '../event-log.ts';
import type { SimulatedHost } from '../simulated-host.ts';

const PAGES_NAMED_MAX = 5;
const ZEROS = Buffer.alloc(PAGE_BYTES);

/**
 * What the guest resumes from at the destination is, byte by byte, what it stood on when it was
 * paused at the source, and a state that its own history could have led to.
 */
export class RamCheck implements Checker {
  private readonly log: EventLog;
  /** Pages that held something when the guest was paused. Undefined: it was not. */
  private captured: Map<number, Buffer> | undefined;
  private source: SimulatedHost | undefined;

  constructor(log: EventLog) {
    this.log = log;
  }

  saw(event: SimulationEvent): void {
    if (event.kind === 'attempt') {
      this.source = event.host;
      this.captured = undefined;
    } else if (event.kind === 'paused' && event.reason === 'migration') {
      if (event.host === this.source) this.capture(event.host);
    } else if (event.kind === 'resumed' && event.reason === 'ownership') {
      if (event.host !== this.source) this.compare(event.host);
    }
  }

  private capture({ guest }: SimulatedHost): void {
    this.captured = new Map();
    for (const { ram, layout } of guest?.memory.blocks ?? []) {
      for (let local = 0; local < layout.pageCount; local += 1) {
        const page = pageOf(ram, local);
        if (!page.equals(ZEROS)) this.captured.set(layout.firstPfn + local, Buffer.from(page));
      }
    }
  }

  private compare({ guest, name }: SimulatedHost): void {
    const { captured } = this;
    if (guest === undefined || captured === undefined)
      return this.log.violation(`${name} resumes a guest that was never paused`);
    const different: string[] = [];
    for (const { ram, layout } of guest.memory.blocks) {
      for (let local = 0; local < layout.pageCount; local += 1) {
        const expected = captured.get(layout.firstPfn + local) ?? ZEROS;
        if (!pageOf(ram, local).equals(expected)) different.push(`${layout.name}:${local}`);
      }
    }
    const named = different.slice(0, PAGES_NAMED_MAX).join(' ');
    if (different.length > 0)
      this.log.violation(`RAM differs at ${name} in ${different.length} pages: ${named}`);
    for (const problem of guest.machine.problems().slice(0, PAGES_NAMED_MAX))
      this.log.violation(`${name} resumes an impossible state: ${problem}`);
  }
}

function pageOf(ram: Buffer, local: number): Buffer {
  return ram.subarray(local * PAGE_BYTES, (local + 1) * PAGE_BYTES);
}
