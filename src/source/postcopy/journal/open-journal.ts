import { encodeJournalAck } from '../../../protocol/index.ts';
import type { OutgoingContext } from '../../outgoing-context.ts';
import type { OutgoingOptions } from '../../outgoing-contract.ts';
import { Journal } from './journal.ts';

/** Undefined when the user does not want one, or there will be no post-copy. */
export function openJournal({
  machine,
  clock,
  reached = () => {},
  parameters,
  capabilities,
}: OutgoingOptions): Journal | undefined {
  if (!capabilities['x-postcopy-journal']) return undefined;
  const bufferBytes = parameters.postcopyJournalBufferBytes;
  return new Journal({ machine, bufferBytes, clock, reached });
}

/** Lets the journal come over the connection of `context`, which is now that of post-copy. */
export function linkJournal({ journal, peer, channel, interrupt }: OutgoingContext): void {
  if (journal === undefined) return;
  peer.journal = journal;
  journal.linked({
    acknowledge: (body) => {
      // The destination may have said meanwhile that it has every page.
      if (peer.maySend('JOURNAL_ACK')) peer.post('JOURNAL_ACK', encodeJournalAck(body));
    },
    refuse: (error) => {
      interrupt.raise(error);
      channel.destroy(error);
    },
  });
}
