import { runToSafepoint } from '../run-to-safepoint.ts';
import type { ErpSpec } from '../workload/erp-spec.ts';
import { tableRange } from '../workload/workload-ranges.ts';
import type { GuestService, ServedVcpu } from './guest-service.ts';
import { SLOTS_PER_VCPU } from './mailbox.ts';

/**
 * Runs the transactions of a vCPU's sessions, one at a time. What a transaction has done so far is
 * in the registers and in RAM, so a guest that moves in the middle of one commits it where it
 * arrives. The client that lost its answer asks again, and hears that it is committed: each
 * transaction counts once.
 */
export class ErpService implements GuestService {
  private readonly spec: ErpSpec;
  private readonly parts: ServedVcpu;
  private readonly table: number;
  private lastSlot: number;
  /** Who waits for the active transaction; nobody when it was begun before the guest came here. */
  private asking: number | undefined;

  constructor(spec: ErpSpec, parts: ServedVcpu) {
    this.spec = spec;
    this.parts = parts;
    this.table = tableRange(spec, parts.vcpuCount).first + parts.vcpu;
    this.lastSlot = parts.vcpu * SLOTS_PER_VCPU - 1;
  }

  step(): boolean {
    const { transaction } = this.parts.registers;
    if (!transaction.isActive) return this.begin();
    if (transaction.accessesLeft > 0) {
      transaction.accessesLeft -= this.parts.access(transaction.accessesLeft);
      if (transaction.accessesLeft > 0) return true;
    }
    this.commit();
    return true;
  }

  private begin(): boolean {
    const { mailbox, vcpu, registers } = this.parts;
    const request = mailbox.next(vcpu, this.lastSlot);
    if (request === undefined) return false;
    const { slot, session, number } = request;
    const committed = this.committedBy(session);
    // A page that is missing ended the slice: the next one looks again.
    if (committed === 'interrupted') return true;
    this.lastSlot = slot;
    if (committed === undefined) mailbox.answer(slot, 'refused', 0);
    else if (number === committed && number > 0) mailbox.answer(slot, 'done', number);
    else if (number !== committed + 1) mailbox.answer(slot, 'refused', committed);
    else {
      registers.transaction.begin(session, number, this.spec.updates);
      this.asking = slot;
    }
    return true;
  }

  private commit(): void {
    const { mailbox, registers, program } = this.parts;
    const { session, number } = registers.transaction;
    const { table } = this;
    if (!runToSafepoint(() => program(table).erpCommit(table, session, number))) return;
    registers.transaction.commit();
    if (this.asking !== undefined) mailbox.answer(this.asking, 'done', number);
    this.asking = undefined;
  }

  /** Undefined for a session that this vCPU does not have. */
  private committedBy(session: number): number | undefined | 'interrupted' {
    const { vcpu, vcpuCount, program } = this.parts;
    if (session >= this.spec.sessions || session % vcpuCount !== vcpu) return undefined;
    let committed = 0;
    const isRead = runToSafepoint(() => {
      committed = program(this.table).erpCommitted(this.table, session) >>> 0;
    });
    return isRead ? committed : 'interrupted';
  }
}
