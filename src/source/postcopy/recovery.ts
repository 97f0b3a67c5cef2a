import { assert, SternaError, toSternaError } from '../../base/index.ts';
import type { RamBlock } from '../../guestmem/index.ts';
import {
  countPages,
  encodeJoin,
  type JoinBody,
  PROTOCOL_VERSION,
  type RecoveryBody,
} from '../../protocol/index.ts';
import type { OutgoingContext } from '../outgoing-context.ts';
import type { Connect } from '../outgoing-contract.ts';
import { openLink } from '../outgoing-link.ts';
import type { Peer } from '../peer.ts';
import { answered, SOFTWARE } from '../setup.ts';
import { linkJournal } from './journal/open-journal.ts';
import type { PromisedPages } from './promised-pages.ts';

/** A connection over which the destination has answered, and what it said. */
export interface Recovered {
  /** As before, with the new connection. */
  readonly context: OutgoingContext;
  readonly answer: RecoveryBody;
}

export interface RecoveryOptions {
  /** More than that the destination cannot lack. */
  readonly promised?: PromisedPages;
}

/** The first message of a further connection of this migration. */
export function joinBody(context: OutgoingContext, role: JoinBody['role']): JoinBody {
  const { machine, migrationId, record, secret, journal } = context;
  // Without one no way to a further connection was given.
  assert(secret !== undefined, 'A further connection shows the secret of the first');
  return {
    protocol: PROTOCOL_VERSION,
    software: SOFTWARE,
    role,
    uuid: machine.description.uuid,
    migrationId,
    epoch: record.startEpoch + 1,
    secret,
    // A process that took the migration up has none, whatever the one before it agreed on.
    ...(journal === undefined ? { journal: false } : {}),
  };
}

/**
 * Connects again and asks the destination what it knows of the hand-over. When the migration goes
 * on, the dirty bitmaps are exactly what it lacks. Rejects when it cannot be asked or refuses; then
 * the new connection is closed.
 */
export async function recoverLink(
  before: OutgoingContext,
  connect: Connect,
  signal: AbortSignal,
  { promised }: RecoveryOptions = {},
): Promise<Recovered> {
  const channel = await connect(signal);
  before.reached('source.recover-connected');
  const context = { ...before, ...openLink(channel, before) };
  const { peer, interrupt } = context;
  const abandon = () => interrupt.raise(new SternaError('E_CANCELLED', 'Recovery was given up'));
  signal.addEventListener('abort', abandon, { once: true });
  if (signal.aborted) abandon();
  try {
    const answer = await ask(context);
    before.reached('source.recover-answered');
    if (answer.continues) await learnMissingPages(context, promised);
    return { context, answer };
  } catch (thrown) {
    const error = toSternaError(thrown, 'E_CHANNEL_RESET', 'Recovery failed');
    peer.finish();
    channel.destroy(error);
    throw error;
  } finally {
    signal.removeEventListener('abort', abandon);
  }
}

async function ask(context: OutgoingContext): Promise<RecoveryBody> {
  const { peer, channel, parameters, record } = context;
  const { blocks } = context.machine.memory;
  peer.pagesOfBlock = (block) => blocks[block]?.layout.pageCount;
  // A destination goes on with it right behind RECOVERED, in the same read even.
  await context.journal?.settled;
  linkJournal(context);
  channel.start(peer);
  await peer.send('JOIN', encodeJoin(joinBody(context, 'recover')));
  context.reached('source.recover-asked');
  const limitMs = parameters.stallTimeoutMs;
  await answered(context, limitMs, 'answer to JOIN', () => peer.state !== 'joining');
  refuseRole(peer, 'RECOVERY');
  const answer = await peer.recovery.promise;
  if (answer.epoch === record.startEpoch + 1) return answer;
  throw new SternaError('E_RECOVERY_REFUSED', 'Destination answered for another epoch', {
    detail: { epoch: answer.epoch, expected: record.startEpoch + 1 },
  });
}

/**
 * JOIN has two answers, one for `recover` and one for all other roles. Throws when the one that
 * came is not `expected`.
 */
export function refuseRole({ state }: Peer, expected: 'RECOVERY' | 'ATTACHED'): void {
  if ((state === 'attached') === (expected === 'ATTACHED')) return;
  const came = expected === 'ATTACHED' ? 'RECOVERY' : 'ATTACHED';
  const text = `${came} came from the destination, where JOIN is answered with ${expected}`;
  throw new SternaError('E_PROTOCOL_UNEXPECTED_MESSAGE', text, { detail: { state } });
}

/** The complement of what it has received, which is all that this side still has to send. */
async function learnMissingPages(
  context: OutgoingContext,
  promised: PromisedPages | undefined,
): Promise<void> {
  const { peer, parameters, machine, journal } = context;
  const { stallTimeoutMs } = parameters;
  await answered(context, stallTimeoutMs, 'RECOVERED', () => peer.state !== 'recovering');
  const { missingPages } = await peer.recovered.promise;
  let missing = 0;
  for (const block of machine.memory.blocks) {
    const map = peer.maps.get(block.layout.index);
    if (map === undefined) throw outside(block.layout.index);
    missing += block.layout.pageCount - countPages(map);
  }
  if (missing !== missingPages) {
    throw new SternaError('E_PROTOCOL_BAD_BODY', 'Received maps do not add up', {
      detail: { missing, missingPages },
    });
  }
  // Each block's was found above.
  const missingOf = ({ layout: { index, pageCount } }: RamBlock) =>
    complement(peer.maps.get(index)?.bitmap ?? new Uint8Array(0), pageCount);
  for (const block of machine.memory.blocks) journal?.refuseMissing(block, missingOf(block));
  for (const block of machine.memory.blocks) block.setDirty(missingOf(block));
  peer.maps.clear();
  if (promised?.coverDirty(machine.memory) === false) {
    throw new SternaError('E_PAGE_REQUEST', 'Destination lacks pages that it had at the switch');
  }
}

function complement(bitmap: Uint8Array, pageCount: number): Uint8Array {
  const inverted = bitmap.map((byte) => ~byte);
  const spare = inverted.length * 8 - pageCount;
  const last = inverted.length - 1;
  if (spare > 0) inverted[last] = (inverted[last] ?? 0) & (0xff >>> spare);
  return inverted;
}

function outside(block: number): SternaError {
  return new SternaError('E_PROTOCOL_BAD_BODY', 'Received maps are not those of this RAM', {
    detail: { block },
  });
}
