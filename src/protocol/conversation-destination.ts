import { stay, type TransitionTable } from './conversation.ts';
import type { MessageName } from './message-types.ts';

/**
 * Where the destination is in the conversation. The states are told in docs/protocol.md,
 * Conversation.
 */
export type DestinationState =
  /** Nothing came yet. */
  | 'connected'
  /** HELLO came: limits are checked, the machine is built. */
  | 'greeted'
  | 'setup'
  | 'active'
  /** The guest stands still at the source. */
  | 'stopped'
  | 'device'
  /** SWITCHOVER came: the state is loaded, missing pages are looked for. */
  | 'loading'
  /** The guest could run; only GRANT is missing. */
  | 'ready'
  | 'verifying'
  | 'comparing'
  | 'verified'
  /** GRANT came: ownership is recorded. */
  | 'granted'
  | 'resumed'
  /** Post-copy: the guest runs here, and pages are missing. */
  | 'postcopy'
  /** The source has sent them all. */
  | 'draining'
  | 'late-verifying'
  | 'late-comparing'
  | 'late-verified'
  /** JOIN came: it is looked for the migration that it is for. */
  | 'joined'
  /** JOIN with the role `recover` was answered: the received maps go out. */
  | 'recovering'
  /** JOIN with the role `preempt` was answered. */
  | 'attached'
  /** PROBE came: no guest will; the link is to be measured. */
  | 'probed'
  | 'probing'
  /** PROBE_END came. */
  | 'summing'
  | 'measured'
  | 'ended'
  | 'cancelled'
  | 'failed';

/** From HELLO_ACK to GOODBYE either side may ask whether the other lives. */
const PINGS = ['PING', 'PONG'] as const;
/** With the capability `x-postcopy-journal` only, which the engines look at. */
const JOURNAL = ['JOURNAL_PAGES', 'JOURNAL_STATE', 'JOURNAL_POINT'] as const;
const cancelOrError = { CANCEL: 'cancelled', ERROR: 'failed' } as const;

/** What may come from the source. */
export const DESTINATION_ACCEPTS: TransitionTable<DestinationState> = {
  connected: { HELLO: 'greeted', JOIN: 'joined', PROBE: 'probed', ERROR: 'failed' },
  greeted: cancelOrError,
  joined: { ERROR: 'failed' },
  setup: { ...stay('setup', PINGS), PASS_BEGIN: 'active', STOPPED: 'stopped', ...cancelOrError },
  active: {
    ...stay('active', [...PINGS, 'PASS_BEGIN', 'PAGE_BATCH']),
    STOPPED: 'stopped',
    ...cancelOrError,
  },
  stopped: {
    ...stay('stopped', [...PINGS, 'PASS_BEGIN', 'PAGE_BATCH', 'MISSING_MAP']),
    MACHINE_STATE: 'device',
    ...cancelOrError,
  },
  device: { ...stay('device', PINGS), SWITCHOVER: 'loading', ...cancelOrError },
  loading: { ...stay('loading', PINGS), ...cancelOrError },
  ready: {
    ...stay('ready', PINGS),
    VERIFY_HASHES: 'verifying',
    VERIFY_END: 'comparing',
    GRANT: 'granted',
    ...cancelOrError,
  },
  verifying: {
    ...stay('verifying', [...PINGS, 'VERIFY_HASHES']),
    VERIFY_END: 'comparing',
    ...cancelOrError,
  },
  comparing: { ...stay('comparing', PINGS), ...cancelOrError },
  verified: { ...stay('verified', PINGS), GRANT: 'granted', ...cancelOrError },
  granted: { ...stay('granted', PINGS), ERROR: 'failed' },
  resumed: {
    // That of a point which the last page has overtaken.
    ...stay('resumed', [...PINGS, 'JOURNAL_ACK']),
    VERIFY_HASHES: 'late-verifying',
    VERIFY_END: 'late-comparing',
    GOODBYE: 'ended',
    ERROR: 'failed',
  },
  postcopy: {
    ...stay('postcopy', [...PINGS, 'PAGE_BATCH', 'JOURNAL_ACK']),
    POSTCOPY_END: 'draining',
    ERROR: 'failed',
  },
  draining: { ...stay('draining', [...PINGS, 'JOURNAL_ACK']), ERROR: 'failed' },
  'late-verifying': {
    ...stay('late-verifying', [...PINGS, 'VERIFY_HASHES']),
    VERIFY_END: 'late-comparing',
    ERROR: 'failed',
  },
  'late-comparing': { ...stay('late-comparing', PINGS), ERROR: 'failed' },
  'late-verified': { ...stay('late-verified', PINGS), GOODBYE: 'ended', ERROR: 'failed' },
  recovering: { ...stay('recovering', PINGS), ERROR: 'failed' },
  attached: { ...stay('attached', [...PINGS, 'PAGE_BATCH']), GOODBYE: 'ended', ERROR: 'failed' },
  probed: { ERROR: 'failed' },
  probing: { ...stay('probing', [...PINGS, 'PROBE_DATA']), PROBE_END: 'summing', ERROR: 'failed' },
  summing: { ERROR: 'failed' },
  measured: { GOODBYE: 'ended', ERROR: 'failed' },
  // GOODBYE, CANCEL and ERROR are the last message of whoever sends them.
  ended: {},
  cancelled: {},
  // Reached also by sending ERROR, while the source is still talking: that is read and dropped.
  failed: stay('failed', [
    ...PINGS,
    ...([
      'HELLO',
      'JOIN',
      'PASS_BEGIN',
      'PAGE_BATCH',
      'STOPPED',
      'MACHINE_STATE',
      'SWITCHOVER',
    ] as const),
    ...(['VERIFY_HASHES', 'VERIFY_END', 'GRANT', 'GOODBYE', 'CANCEL', 'ERROR'] as const),
    ...(['MISSING_MAP', 'POSTCOPY_END', 'JOURNAL_ACK'] as const),
    ...(['PROBE', 'PROBE_DATA', 'PROBE_END'] as const),
  ]),
};

/**
 * What the destination may send. PROGRESS and pings from HELLO_ACK on, in any state but the last
 * ones.
 */
export const DESTINATION_SENDS: TransitionTable<DestinationState> = {
  connected: { ERROR: 'failed' },
  greeted: { HELLO_ACK: 'setup', ERROR: 'failed' },
  joined: { RECOVERY: 'recovering', ATTACHED: 'attached', ERROR: 'failed' },
  setup: chatter('setup'),
  active: chatter('active'),
  stopped: chatter('stopped'),
  device: chatter('device'),
  loading: { ...chatter('loading'), SWITCHOVER_ACK: 'ready' },
  ready: chatter('ready'),
  verifying: chatter('verifying'),
  comparing: { ...chatter('comparing'), VERIFY_RESULT: 'verified' },
  verified: chatter('verified'),
  granted: { ...chatter('granted'), RESUMED: 'resumed', POSTCOPY_RESUMED: 'postcopy' },
  resumed: { ...chatter('resumed'), GUEST_STARTED: 'resumed' },
  postcopy: {
    ...chatter('postcopy'),
    ...stay('postcopy', ['PAGE_REQUEST', 'GUEST_STARTED', ...JOURNAL]),
  },
  draining: {
    ...chatter('draining'),
    ...stay('draining', ['PAGE_REQUEST', 'GUEST_STARTED', ...JOURNAL]),
    ALL_RECEIVED: 'resumed',
  },
  'late-verifying': { ...chatter('late-verifying'), GUEST_STARTED: 'late-verifying' },
  'late-comparing': {
    ...chatter('late-comparing'),
    GUEST_STARTED: 'late-comparing',
    VERIFY_RESULT: 'late-verified',
  },
  'late-verified': { ...chatter('late-verified'), GUEST_STARTED: 'late-verified' },
  recovering: {
    ...chatter('recovering'),
    ...stay('recovering', ['RECEIVED_MAP']),
    RECOVERED: 'postcopy',
  },
  attached: { ...stay('attached', PINGS), ERROR: 'failed' },
  probed: { PROBE_ACK: 'probing', ERROR: 'failed' },
  probing: chatter('probing'),
  summing: { PROBE_RESULT: 'measured', ERROR: 'failed' },
  measured: { ERROR: 'failed' },
  ended: {},
  cancelled: {},
  failed: {},
};

/**
 * The answer that the destination owes in a state. A stream without a way back goes on as if it
 * had been sent.
 */
export const DESTINATION_OWES: Readonly<Partial<Record<DestinationState, MessageName>>> = {
  greeted: 'HELLO_ACK',
  loading: 'SWITCHOVER_ACK',
  comparing: 'VERIFY_RESULT',
  granted: 'RESUMED',
  recovering: 'RECOVERED',
  draining: 'ALL_RECEIVED',
  'late-comparing': 'VERIFY_RESULT',
  probed: 'PROBE_ACK',
  summing: 'PROBE_RESULT',
};

function chatter(state: DestinationState): Partial<Record<MessageName, DestinationState>> {
  return { ...stay(state, [...PINGS, 'PROGRESS']), ERROR: 'failed' };
}
