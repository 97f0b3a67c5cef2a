import type {
  Clock,
  Logger,
  MigrationCapabilities,
  MigrationParameters,
  OwnershipLedger,
  ReachFault,
} from '../base/index.ts';
import type { Channel } from '../channel/index.ts';
import type { Machine } from '../guestmem/index.ts';
import type { Codec } from './codec/codec.ts';
import type { FrameSender } from './frames/frame-sender.ts';
import type { MissingPageSender } from './frames/missing-page-sender.ts';
import type { PageSender } from './frames/page-sender.ts';
import type { PageChannels } from './further/page-channels.ts';
import type { Interrupt } from './interrupt.ts';
import type { LinkMeter } from './link-meter.ts';
import type { OutgoingRecord } from './outgoing-record.ts';
import type { Peer } from './peer.ts';
import type { Journal } from './postcopy/journal/journal.ts';

/**
 * What the phases of one outgoing migration share. Each phase is a function over it, in a file of
 * its own.
 */
export interface OutgoingContext {
  readonly machine: Machine;
  readonly channel: Channel;
  /** Where page frames go. */
  readonly pageChannels: PageChannels;
  readonly clock: Clock;
  readonly ledger: OwnershipLedger;
  readonly log: Logger;
  readonly migrationId: string;
  readonly peerName: string;
  readonly interrupt: Interrupt;
  readonly meter: LinkMeter;
  readonly peer: Peer;
  /** How a frame goes, whatever is in it. */
  readonly frames: FrameSender;
  /** Before the guest leaves. */
  readonly pageSender: PageSender;
  /** And after. */
  readonly missingSender: MissingPageSender;
  readonly record: OutgoingRecord;
  /** One for all connections of this migration. */
  readonly codec: Codec;
  /** On all connections of this migration so far. */
  readonly sentBytes: () => number;
  /** Shown again by further connections of this migration. */
  readonly secret: string | undefined;
  readonly reached: ReachFault;
  /** Live: read again at each decision. */
  readonly parameters: MigrationParameters;
  readonly capabilities: MigrationCapabilities;
  /** What comes back in post-copy of the guest's changes, if the user wants that. */
  readonly journal: Journal | undefined;
  /** The user wants post-copy now. */
  readonly wantsPostcopy: () => boolean;
  /** Tells the observer that something changed. */
  readonly publish: () => void;
}
