import { assert } from '../../base/index.ts';
import { waitAsync } from '../../guestmem/index.ts';
import { framePages } from '../workload/stream-spec.ts';
import type { WorkloadSpec } from '../workload/workload-spec.ts';
import {
  ANSWER_STATUS,
  type AnswerStatus,
  type ServiceAnswer,
  type ServiceName,
  statusOf,
} from './service-message.ts';

/** Requests that a vCPU may have at a time; more wait in front of the mailbox. */
export const SLOTS_PER_VCPU = 8;

const HEADER_BYTES = 64;
const SLOT_HEADER_BYTES = 32;
const STATE = { free: 0, asked: 1, answered: 2 } as const;
/** Only a net under the notifications. */
const RECHECK_MS = 1000;

/** A request as the guest sees it. */
export interface MailRequest {
  readonly slot: number;
  readonly session: number;
  readonly number: number;
}

/**
 * The guest's network device: shared memory through which requests of clients come to a vCPU, and
 * its answers go back. The vCPU copies what it answers out of its RAM, through the soft MMU as any
 * access; who moves the bytes to sockets never looks into RAM, so a page that is missing or being
 * written is nothing that it could get wrong. What stands here does not cross in a migration: it
 * belongs to connections, which end with the agent that has them, and their clients ask again.
 *
 *   byte 0 number of the newest answer · 4 slots of each vCPU · 8 bytes of a body · 12 service
 *   · 64 the slots, 32 bytes and a body each: state · session · number · status · length · zero
 *
 * A slot is written by one side at a time: by the host while it is free or answered, by its vCPU
 * while it is asked.
 */
export class Mailbox {
  readonly shared: SharedArrayBuffer;
  readonly service: ServiceName | undefined;
  readonly vcpuCount: number;
  private readonly words: Int32Array;
  private readonly bodyBytes: number;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.words = new Int32Array(shared);
    this.bodyBytes = this.words[2] ?? 0;
    this.service = ([undefined, 'stream', 'erp'] as const)[this.words[3] ?? 0];
    const slots = (shared.byteLength - HEADER_BYTES) / (SLOT_HEADER_BYTES + this.bodyBytes);
    this.vcpuCount = slots / SLOTS_PER_VCPU;
  }

  /** For a guest that does that; without slots when it serves nobody. */
  static allocate(spec: WorkloadSpec, vcpuCount: number): Mailbox {
    const isServed = spec.kind === 'stream' || spec.kind === 'erp';
    const bodyBytes = spec.kind === 'stream' ? framePages(spec) * 4096 : 0;
    const slots = isServed ? vcpuCount * SLOTS_PER_VCPU : 0;
    const shared = new SharedArrayBuffer(HEADER_BYTES + slots * (SLOT_HEADER_BYTES + bodyBytes));
    const service = spec.kind === 'stream' ? 1 : spec.kind === 'erp' ? 2 : 0;
    new Int32Array(shared).set([0, SLOTS_PER_VCPU, bodyBytes, service]);
    return new Mailbox(shared);
  }

  get slotCount(): number {
    return this.vcpuCount * SLOTS_PER_VCPU;
  }

  // The vCPU's side.

  /** A request of this vCPU from slot `after` on, in turn; `skip` leaves some out. */
  next(
    vcpu: number,
    after: number,
    skip: (request: MailRequest) => boolean = () => false,
  ): MailRequest | undefined {
    const first = vcpu * SLOTS_PER_VCPU;
    for (let turn = 1; turn <= SLOTS_PER_VCPU; turn += 1) {
      const slot = first + ((after - first + turn + SLOTS_PER_VCPU) % SLOTS_PER_VCPU);
      const word = this.word(slot);
      // Pairs with the store in ask(): what was asked is there.
      if (Atomics.load(this.words, word) !== STATE.asked) continue;
      const [session, number] = [this.unsigned(word + 1), this.unsigned(word + 2)];
      if (!skip({ slot, session, number })) return { slot, session, number };
    }
    return undefined;
  }

  /** Where the body of an answer goes, before `answer`. */
  body(slot: number): Uint8Array {
    const at = this.word(slot) * 4 + SLOT_HEADER_BYTES;
    return new Uint8Array(this.shared, at, this.bodyBytes);
  }

  answer(slot: number, status: AnswerStatus, number: number, length = 0): void {
    const word = this.word(slot);
    this.words[word + 2] = number;
    this.words[word + 3] = ANSWER_STATUS[status];
    this.words[word + 4] = length;
    // After all of the answer. Pairs with the load in take().
    Atomics.store(this.words, word, STATE.answered);
    // Pairs with the load and the wait in answersAfter().
    Atomics.add(this.words, 0, 1);
    Atomics.notify(this.words, 0);
  }

  // The host's side.

  isFree(slot: number): boolean {
    // Pairs with the store in take(), which is the host's own.
    return Atomics.load(this.words, this.word(slot)) === STATE.free;
  }

  /** Only into a free slot. */
  ask(slot: number, session: number, number: number): void {
    assert(this.isFree(slot), 'A slot of the mailbox is not free');
    const word = this.word(slot);
    this.words[word + 1] = session;
    this.words[word + 2] = number;
    // After all of the request. Pairs with the load in next().
    Atomics.store(this.words, word, STATE.asked);
  }

  /** The answer in a slot, which is free again; undefined when there is none yet. */
  take(slot: number): ServiceAnswer | undefined {
    const word = this.word(slot);
    // Pairs with the store in answer().
    if (Atomics.load(this.words, word) !== STATE.answered) return undefined;
    const status = statusOf(this.unsigned(word + 3)) ?? 'refused';
    const body = this.body(slot).slice(0, this.unsigned(word + 4));
    const [session, number] = [this.unsigned(word + 1), this.unsigned(word + 2)];
    // Pairs with the load in isFree() and next().
    Atomics.store(this.words, word, STATE.free);
    return { status, session, number, body };
  }

  /** Number of the newest answer. */
  newestAnswer(): number {
    // Pairs with the add in answer().
    return Atomics.load(this.words, 0);
  }

  /** Resolves when there is a newer answer than that one, or to look again. */
  async answersAfter(seen: number): Promise<void> {
    // Pairs with the notify in answer().
    await waitAsync(this.words, 0, seen, RECHECK_MS);
  }

  /** Index of the first word of a slot. */
  private word(slot: number): number {
    return (HEADER_BYTES + slot * (SLOT_HEADER_BYTES + this.bodyBytes)) / 4;
  }

  private unsigned(word: number): number {
    return (this.words[word] ?? 0) >>> 0;
  }
}
