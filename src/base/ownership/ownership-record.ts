/**
 * Who runs a guest, as a durable record. A guest has an *epoch*, raised by one with each hand-over.
 *
 * - `owner`: this side may run the guest.
 * - `granting`: it is being given away. Durable before GRANT is sent; never run by itself any more.
 * - `granted`: the other side has it, or a newer one exists elsewhere.
 * - `preparing`: it may come. Durable before the source is told that it can.
 * - `abandoned`: it was not taken; a GRANT that still comes is refused.
 * - `lost`: who had it died with its RAM. Nobody runs it until an operator says so.
 *
 * Which follows which is `OWNERSHIP_RULES`.
 */
export type OwnershipState = 'owner' | 'granting' | 'granted' | 'preparing' | 'abandoned' | 'lost';

/** What is on disk about one guest. */
export interface OwnershipRecord {
  readonly uuid: string;
  /** `owner`: the epoch that this side runs. Otherwise: the epoch that is being handed over. */
  readonly epoch: number;
  readonly state: OwnershipState;
  readonly migrationId: string | undefined;
  /** Address of the other side: whom to ask, and for the operator. */
  readonly peer: string | undefined;
}

/**
 * Keeps the newest record of each guest. `write` resolves when the record survives a crash of the
 * host.
 */
export interface OwnershipLedger {
  read(uuid: string): OwnershipRecord | undefined;
  /** Rejects with E_STATE_DIRECTORY; the record may be on disk all the same. */
  write(record: OwnershipRecord): Promise<void>;
}

/** For tests, and for guests whose agent has no state directory. */
export function volatileLedger(): OwnershipLedger {
  const records = new Map<string, OwnershipRecord>();
  return {
    read: (uuid) => records.get(uuid),
    write: async (record) => {
      records.set(record.uuid, record);
    },
  };
}
