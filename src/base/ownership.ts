/**
 * Who runs a guest, as a durable record. A guest has an *epoch*, raised by one with each hand-over.
 *
 * Source: `owner` -> `granting` (durable before GRANT is sent; from then on it never runs the guest
 * by itself)
 * -> `granted`, or back to `owner` when it is certain that GRANT was never sent or the peer
 *   abandoned it. Destination: nothing -> `preparing` -> `owner` (durable before the guest runs) or
 *   `abandoned`.
 */
export type OwnershipState = 'owner' | 'granting' | 'granted' | 'preparing' | 'abandoned';

export interface OwnershipRecord {
  readonly uuid: string;
  /** `owner`: the epoch that this side runs. Otherwise: the epoch that is being handed over. */
  readonly epoch: number;
  readonly state: OwnershipState;
  readonly migrationId: string | undefined;
  /** Address of the other side, for the operator. */
  readonly peer: string | undefined;
}

/**
 * Keeps the newest record of each guest. `write` resolves when the record survives a crash of the
 * host.
 */
export interface OwnershipLedger {
  read(uuid: string): OwnershipRecord | undefined;
  /** Rejects with E_STATE_DIRECTORY. */
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
