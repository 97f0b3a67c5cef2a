import type { BodyResult } from './body/body-reader.ts';
import type { MessageName } from './message-types.ts';
import * as messages from './messages/index.ts';

/** Messages whose body is raw bytes. */
export type RawName =
  | 'PAGE_BATCH'
  | 'JOURNAL_PAGES'
  | 'VERIFY_HASHES'
  | 'PROBE_DATA'
  | 'MISSING_MAP'
  | 'RECEIVED_MAP';
/** Messages whose body is MessagePack. */
export type ControlName = Exclude<MessageName, RawName>;

/**
 * The decoder of each control message, for those who read whatever comes: the dump and the tests.
 */
export const CONTROL_DECODERS: Readonly<
  Record<ControlName, (bytes: Uint8Array) => BodyResult<object>>
> = {
  HELLO: messages.decodeHello,
  HELLO_ACK: messages.decodeHelloAck,
  ERROR: messages.decodeError,
  CANCEL: messages.decodeCancel,
  PING: messages.decodePing,
  PONG: messages.decodePong,
  PASS_BEGIN: messages.decodePassBegin,
  PROGRESS: messages.decodeProgress,
  STOPPED: messages.decodeStopped,
  MACHINE_STATE: messages.decodeMachineState,
  SWITCHOVER: messages.decodeSwitchover,
  SWITCHOVER_ACK: messages.decodeSwitchoverAck,
  GRANT: messages.decodeGrant,
  RESUMED: messages.decodeResumed,
  VERIFY_END: messages.decodeVerifyEnd,
  VERIFY_RESULT: messages.decodeVerifyResult,
  GOODBYE: messages.decodeGoodbye,
  GUEST_STARTED: messages.decodeGuestStarted,
  POSTCOPY_RESUMED: messages.decodePostcopyResumed,
  PAGE_REQUEST: messages.decodePageRequest,
  POSTCOPY_END: messages.decodePostcopyEnd,
  ALL_RECEIVED: messages.decodeAllReceived,
  JOIN: messages.decodeJoin,
  RECOVERY: messages.decodeRecovery,
  RECOVERED: messages.decodeRecovered,
  ATTACHED: messages.decodeAttached,
  JOURNAL_STATE: messages.decodeJournalState,
  JOURNAL_POINT: messages.decodeJournalPoint,
  JOURNAL_ACK: messages.decodeJournalAck,
  PROBE: messages.decodeProbe,
  PROBE_ACK: messages.decodeProbeAck,
  PROBE_END: messages.decodeProbeEnd,
  PROBE_RESULT: messages.decodeProbeResult,
};
