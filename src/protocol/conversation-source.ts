import { stay, type TransitionTable } from './conversation.ts';
import type { MessageName } from './message-types.ts';

/**
 * Where the source is in the conversation: the destination's states, each entered by sending what
 * enters it there.
 */
export type SourceState =
  | 'connected'
  /** HELLO was sent. */
  | 'greeting'
  | 'setup'
  | 'active'
  | 'stopped'
  | 'device'
  /** SWITCHOVER was sent. */
  | 'switchover'
  /** SWITCHOVER_ACK came: GRANT may be sent. */
  | 'ready'
  | 'verifying'
  | 'comparing'
  | 'verified'
  /** GRANT was sent, or may have been: the guest never runs here again by itself. */
  | 'granted'
  | 'resumed'
  /** Post-copy: the guest runs at the destination, which asks for pages. */
  | 'postcopy'
  /** POSTCOPY_END was sent. */
  | 'draining'
  | 'late-verifying'
  | 'late-comparing'
  | 'late-verified'
  /** JOIN was sent. */
  | 'joining'
  /** RECOVERY came: the received maps follow. */
  | 'recovering'
  /** This connection carries pages that a vCPU waits for. */
  | 'attached'
  /** PROBE was sent. */
  | 'asking'
  /** PROBE_ACK came: the link is filled. */
  | 'probing'
  /** PROBE_END was sent. */
  | 'summing'
  | 'measured'
  | 'ended'
  | 'cancelled'
  | 'failed';

const PINGS = ['PING', 'PONG'] as const;
/** With the capability `x-postcopy-journal` only, which the engines look at. */
const JOURNAL = ['JOURNAL_PAGES', 'JOURNAL_STATE', 'JOURNAL_POINT'] as const;
const cancelOrError = { CANCEL: 'cancelled', ERROR: 'failed' } as const;

/**
 * Everything that a destination says after HELLO; what is under way when the source ends the
 * conversation.
 */
const IN_FLIGHT = [
  ...PINGS,
  ...(['HELLO_ACK', 'PROGRESS', 'SWITCHOVER_ACK', 'VERIFY_RESULT', 'RESUMED'] as const),
  ...(['GUEST_STARTED', 'POSTCOPY_RESUMED', 'PAGE_REQUEST', 'ALL_RECEIVED'] as const),
  ...(['RECOVERY', 'RECEIVED_MAP', 'RECOVERED', 'ATTACHED'] as const),
  ...(['PROBE_ACK', 'PROBE_RESULT'] as const),
  ...JOURNAL,
] as const;

/** What may come from the destination. */
export const SOURCE_ACCEPTS: TransitionTable<SourceState> = {
  connected: { ERROR: 'failed' },
  greeting: { HELLO_ACK: 'setup', ERROR: 'failed' },
  joining: { RECOVERY: 'recovering', ATTACHED: 'attached', ERROR: 'failed' },
  setup: chatter('setup'),
  active: chatter('active'),
  stopped: chatter('stopped'),
  device: chatter('device'),
  switchover: { ...chatter('switchover'), SWITCHOVER_ACK: 'ready' },
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
  asking: { PROBE_ACK: 'probing', ERROR: 'failed' },
  probing: chatter('probing'),
  summing: { ...chatter('summing'), PROBE_RESULT: 'measured' },
  measured: { ERROR: 'failed' },
  ended: stay('ended', [...IN_FLIGHT, 'ERROR']),
  cancelled: stay('cancelled', [...IN_FLIGHT, 'ERROR']),
  failed: stay('failed', [...IN_FLIGHT, 'ERROR']),
};

/**
 * What the source may send. CANCEL until GRANT; afterwards the guest is no longer the source's to
 * keep.
 */
export const SOURCE_SENDS: TransitionTable<SourceState> = {
  connected: { HELLO: 'greeting', JOIN: 'joining', PROBE: 'asking', ERROR: 'failed' },
  greeting: cancelOrError,
  joining: { ERROR: 'failed' },
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
  device: { ...stay('device', PINGS), SWITCHOVER: 'switchover', ...cancelOrError },
  switchover: { ...stay('switchover', PINGS), ...cancelOrError },
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
    ...stay('resumed', PINGS),
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
  asking: { ERROR: 'failed' },
  probing: { ...stay('probing', [...PINGS, 'PROBE_DATA']), PROBE_END: 'summing', ERROR: 'failed' },
  summing: { ERROR: 'failed' },
  measured: { GOODBYE: 'ended', ERROR: 'failed' },
  ended: {},
  cancelled: {},
  failed: {},
};

/**
 * The answer that the source waits for in a state. A stream without a way back goes on as if it
 * had come.
 */
export const SOURCE_AWAITS: Readonly<Partial<Record<SourceState, MessageName>>> = {
  greeting: 'HELLO_ACK',
  switchover: 'SWITCHOVER_ACK',
  comparing: 'VERIFY_RESULT',
  granted: 'RESUMED',
  recovering: 'RECOVERED',
  draining: 'ALL_RECEIVED',
  'late-comparing': 'VERIFY_RESULT',
  asking: 'PROBE_ACK',
  summing: 'PROBE_RESULT',
};

function chatter(state: SourceState): Partial<Record<MessageName, SourceState>> {
  return { ...stay(state, [...PINGS, 'PROGRESS']), ERROR: 'failed' };
}
