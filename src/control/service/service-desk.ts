import {
  type Mailbox,
  type ServiceAnswer,
  type ServiceName,
  type ServiceRequest,
  SLOTS_PER_VCPU,
} from '../../guest/index.ts';

type Deliver = (answer: ServiceAnswer) => void;

interface Waiting {
  readonly request: ServiceRequest;
  readonly deliver: Deliver;
}

/**
 * Hands requests to the vCPUs through the mailbox, in the order in which they come, and answers
 * back. A request whose slot is taken waits here.
 */
export class ServiceDesk {
  readonly service: ServiceName | undefined;
  private readonly mailbox: Mailbox;
  /** Who waits for the answer in a slot. An answer that nobody waits for is thrown away. */
  private readonly asked = new Map<number, Deliver>();
  /** For each vCPU. */
  private readonly queues: Waiting[][];
  private isOpen = true;

  constructor(mailbox: Mailbox) {
    this.mailbox = mailbox;
    this.service = mailbox.service;
    this.queues = Array.from({ length: mailbox.vcpuCount }, () => []);
    void this.deliverAnswers();
  }

  ask(request: ServiceRequest, deliver: Deliver): void {
    const vcpu = request.session % this.mailbox.vcpuCount;
    this.queues[vcpu]?.push({ request, deliver });
    this.post(vcpu);
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.isOpen = false;
  }

  private async deliverAnswers(): Promise<void> {
    while (this.isOpen) {
      const seen = this.mailbox.newestAnswer();
      this.collect();
      await this.mailbox.answersAfter(seen);
    }
  }

  private collect(): void {
    for (let slot = 0; slot < this.mailbox.slotCount; slot += 1) {
      const answer = this.mailbox.take(slot);
      if (answer === undefined) continue;
      this.asked.get(slot)?.(answer);
      this.asked.delete(slot);
      this.post(Math.floor(slot / SLOTS_PER_VCPU));
    }
  }

  private post(vcpu: number): void {
    const queue = this.queues[vcpu] ?? [];
    const first = vcpu * SLOTS_PER_VCPU;
    for (let slot = first; slot < first + SLOTS_PER_VCPU; slot += 1) {
      if (queue.length === 0) return;
      if (!this.mailbox.isFree(slot)) continue;
      const next = queue.shift();
      if (next === undefined) return;
      this.asked.set(slot, next.deliver);
      this.mailbox.ask(slot, next.request.session, next.request.number);
    }
  }
}
