import {
  type Clock,
  type OwnershipLedger,
  type OwnershipRecord,
  SternaError,
} from '../../base/index.ts';

export interface LedgerFault {
  /** The n-th write from now on is refused, counted from 1. */
  readonly write: number;
  readonly lasting: boolean;
  readonly stays: boolean;
}

/** Records that came, and those that were refused of them. */
export interface LedgerCounts {
  readonly records: number;
  readonly refused: number;
}

/** What happens to a record, for the log. */
export interface LedgerWatch {
  recorded(record: OwnershipRecord): void;
  refused(record: OwnershipRecord): void;
}

/**
 * The disk of a host: records take time to become durable, one after the other, and writes can be
 * refused.
 */
export class SimulatedLedger implements OwnershipLedger {
  private readonly clock: Clock;
  private readonly recordMs: number;
  private readonly watch: LedgerWatch;
  private readonly records = new Map<string, OwnershipRecord>();
  private tail: Promise<void> = Promise.resolve();
  private fault: LedgerFault | undefined;
  private writesSinceFault = 0;
  private writes = 0;
  private refusals = 0;

  constructor(clock: Clock, recordMs: number, watch: LedgerWatch) {
    this.clock = clock;
    this.recordMs = recordMs;
    this.watch = watch;
  }

  read(uuid: string): OwnershipRecord | undefined {
    return this.records.get(uuid);
  }

  write(record: OwnershipRecord): Promise<void> {
    const written = this.tail.then(() => this.store(record));
    this.tail = written.catch(() => {});
    return written;
  }

  get counts(): LedgerCounts {
    return { records: this.writes, refused: this.refusals };
  }

  breakWith(fault: LedgerFault | undefined): void {
    this.fault = fault;
    this.writesSinceFault = 0;
  }

  private async store(record: OwnershipRecord): Promise<void> {
    await this.clock.sleep(this.recordMs);
    this.writes += 1;
    this.writesSinceFault += 1;
    const isRefused =
      this.fault !== undefined &&
      (this.fault.lasting
        ? this.writesSinceFault >= this.fault.write
        : this.writesSinceFault === this.fault.write);
    const isStored =
      !isRefused || (this.fault?.stays && this.writesSinceFault === this.fault.write);
    if (isStored) {
      this.records.set(record.uuid, record);
      this.watch.recorded(record);
    }
    if (!isRefused) return;
    this.refusals += 1;
    this.watch.refused(record);
    throw new SternaError('E_STATE_DIRECTORY', 'The disk is full in this simulation', {
      detail: { state: record.state },
    });
  }
}
