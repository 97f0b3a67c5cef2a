import { PAGE_BYTES } from '../../base/index.ts';
import { runToSafepoint } from '../run-to-safepoint.ts';
import { framePages, type StreamSpec } from '../workload/stream-spec.ts';
import type { GuestService, ServedVcpu } from './guest-service.ts';
import { type MailRequest, SLOTS_PER_VCPU } from './mailbox.ts';
import { NEWEST } from './service-message.ts';

/**
 * Hands out frames of a vCPU's channel. The vCPU that makes them copies them too, a whole frame
 * between two slices of making, so that no frame changes while it is copied.
 */
export class StreamService implements GuestService {
  private readonly parts: ServedVcpu;
  private readonly framePages: number;
  /** Frames that the ring of this channel holds. */
  private readonly places: number;
  private lastSlot: number;

  constructor(spec: StreamSpec, parts: ServedVcpu) {
    this.parts = parts;
    this.framePages = framePages(spec);
    this.places = parts.hot.count / this.framePages;
    this.lastSlot = parts.vcpu * SLOTS_PER_VCPU - 1;
  }

  step(): boolean {
    const { mailbox, vcpu, registers } = this.parts;
    const made = Math.floor(registers.writes / this.framePages);
    // Who asks for one of the next frames waits for it; but a slot is not held for ever.
    const request = mailbox.next(vcpu, this.lastSlot, ({ number }) =>
      number === NEWEST ? made === 0 : number >= made && number < made + this.places,
    );
    if (request === undefined) return false;
    this.serve(request, made);
    return true;
  }

  private serve({ slot, number }: MailRequest, made: number): void {
    const { mailbox, registers } = this.parts;
    const isPart = registers.writes % this.framePages > 0;
    // The frame that is being made takes the place of the oldest.
    const oldest = Math.max(0, made - this.places + (isPart ? 1 : 0));
    const frame = number === NEWEST ? made - 1 : number;
    if (number !== NEWEST && number >= made + this.places) mailbox.answer(slot, 'refused', made);
    else if (frame < oldest) mailbox.answer(slot, 'gone', oldest);
    // A page that is missing ends the slice; the next one begins the copy again.
    else if (!runToSafepoint(() => this.copy(frame, mailbox.body(slot)))) return;
    else mailbox.answer(slot, 'done', frame, this.framePages * PAGE_BYTES);
    this.lastSlot = slot;
  }

  private copy(frame: number, body: Uint8Array): void {
    const { hot, memory, program } = this.parts;
    const first = hot.first + (frame % this.places) * this.framePages;
    for (let page = 0; page < this.framePages; page += 1) {
      const pfn = first + page;
      const block = memory.blocks.find(({ layout }) => pfn < layout.firstPfn + layout.pageCount);
      const at = program(pfn).streamPage(pfn) >>> 0;
      // The ring lies inside RAM (checkWorkloadFits): the block is there.
      if (block !== undefined)
        body.set(block.bytes.subarray(at, at + PAGE_BYTES), page * PAGE_BYTES);
    }
  }
}
