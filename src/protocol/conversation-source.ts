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
  | 'late-verifying'
  | 'late-comparing'
  | 'late-verified'
  | 'ended'
  | 'cancelled'
  | 'failed';

const PINGS = ['PING', 'PONG'] as const;
const cancelOrError = { CANCEL: 'cancelled', ERROR: 'failed' } as const;

/**
 * Everything that a destination says after HELLO; what is under way when the source ends the
 * conversation.
 */
const IN_FLIGHT = [
  ...PINGS,
  ...(['HELLO_ACK', 'PROGRESS', 'SWITCHOVER_ACK', 'VERIFY_RESULT', 'RESUMED'] as const),
  'GUEST_STARTED',
] as const;

/** What may come from the destination. */
export const SOURCE_ACCEPTS: TransitionTable<SourceState> = {
  connected: { ERROR: 'failed' },
  greeting: { HELLO_ACK: 'setup', ERROR: 'failed' },
  setup: chatter('setup'),
  active: chatter('active'),
  stopped: chatter('stopped'),
  device: chatter('device'),
  switchover: { ...chatter('switchover'), SWITCHOVER_ACK: 'ready' },
  ready: chatter('ready'),
  verifying: chatter('verifying'),
  comparing: { ...chatter('comparing'), VERIFY_RESULT: 'verified' },
  verified: chatter('verified'),
  granted: { ...chatter('granted'), RESUMED: 'resumed' },
  resumed: { ...chatter('resumed'), GUEST_STARTED: 'resumed' },
  'late-verifying': { ...chatter('late-verifying'), GUEST_STARTED: 'late-verifying' },
  'late-comparing': {
    ...chatter('late-comparing'),
    GUEST_STARTED: 'late-comparing',
    VERIFY_RESULT: 'late-verified',
  },
  'late-verified': { ...chatter('late-verified'), GUEST_STARTED: 'late-verified' },
  ended: stay('ended', [...IN_FLIGHT, 'ERROR']),
  cancelled: stay('cancelled', [...IN_FLIGHT, 'ERROR']),
  failed: stay('failed', [...IN_FLIGHT, 'ERROR']),
};

/**
 * What the source may send. CANCEL until GRANT; afterwards the guest is no longer the source's to
 * keep.
 */
export const SOURCE_SENDS: TransitionTable<SourceState> = {
  connected: { HELLO: 'greeting', ERROR: 'failed' },
  greeting: cancelOrError,
  setup: { ...stay('setup', PINGS), PASS_BEGIN: 'active', STOPPED: 'stopped', ...cancelOrError },
  active: {
    ...stay('active', [...PINGS, 'PASS_BEGIN', 'PAGE_BATCH']),
    STOPPED: 'stopped',
    ...cancelOrError,
  },
  stopped: {
    ...stay('stopped', [...PINGS, 'PASS_BEGIN', 'PAGE_BATCH']),
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
  'late-verifying': {
    ...stay('late-verifying', [...PINGS, 'VERIFY_HASHES']),
    VERIFY_END: 'late-comparing',
    ERROR: 'failed',
  },
  'late-comparing': { ...stay('late-comparing', PINGS), ERROR: 'failed' },
  'late-verified': { ...stay('late-verified', PINGS), GOODBYE: 'ended', ERROR: 'failed' },
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
  'late-comparing': 'VERIFY_RESULT',
};

function chatter(state: SourceState): Partial<Record<MessageName, SourceState>> {
  return { ...stay(state, [...PINGS, 'PROGRESS']), ERROR: 'failed' };
}
