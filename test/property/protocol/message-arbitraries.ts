import fc from 'fast-check';
import {
  type BodyResult,
  CONTROL_DECODERS,
  type ControlName,
  encodeAllReceived,
  encodeAttached,
  encodeCancel,
  encodeError,
  encodeGoodbye,
  encodeGrant,
  encodeGuestStarted,
  encodeHello,
  encodeHelloAck,
  encodeJoin,
  encodeJournalAck,
  encodeJournalPoint,
  encodeJournalState,
  encodeMachineState,
  encodePageRequest,
  encodePassBegin,
  encodePing,
  encodePong,
  encodePostcopyEnd,
  encodePostcopyResumed,
  encodeProbe,
  encodeProbeAck,
  encodeProbeEnd,
  encodeProbeResult,
  encodeProgress,
  encodeRecovered,
  encodeRecovery,
  encodeResumed,
  encodeStopped,
  encodeSwitchover,
  encodeSwitchoverAck,
  encodeVerifyEnd,
  encodeVerifyResult,
  JOIN_ROLES,
  RECOVERY_OUTCOMES,
} from '../../../src/protocol/index.ts';

/** A control message with any legal body. */
export interface MessageCase {
  readonly name: ControlName;
  readonly encode: (body: never) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => BodyResult<object>;
  readonly body: fc.Arbitrary<object>;
}

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const probeMs = fc.integer({ min: 1, max: 10_000 });
const probeBytes = fc.integer({ min: 0, max: 2 ** 34 });
const pages = fc.integer({ min: 0, max: 2 ** 22 });
const epoch = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 2 });
/** -0 becomes 0 on the wire. */
const amount = fc
  .oneof(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), fc.integer({ min: 0 }))
  .map((value) => value + 0);
const moment = fc.oneof(amount, fc.constant(Number.NaN));
const moments = fc.array(moment, { maxLength: 16 });

/** Printable, any plane, no half characters. */
function text(maxBytes: number): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'grapheme', maxLength: 24 })
    .filter((value) => Buffer.byteLength(value) <= maxBytes && !/\p{Cc}/u.test(value));
}

const scalar = fc.oneof(amount, fc.boolean(), text(64));
const key = fc
  .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 })
  .filter((value) => value !== '__proto__');
const scalars = fc.dictionary(key, scalar, { maxKeys: 8 });
const capabilities = fc.array(text(64), { maxLength: 8 });

const ramBlocks = fc
  .uniqueArray(
    fc.record({
      name: text(128),
      bytes: fc.integer({ min: 2 ** 24 / 4096, max: 2 ** 19 }).map((count) => count * 4096),
    }),
    { minLength: 1, maxLength: 7, selector: (block) => block.name },
  )
  .map((blocks) => blocks);

const helloFields = {
  protocol: fc.constant(1),
  software: text(128),
  role: fc.constant('main' as const),
  migrationId: fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/),
  guest: fc.record({ epoch }),
  pageBytes: fc.constant(4096),
  machine: fc.record({
    type: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
    version: fc.integer({ min: 1, max: 65_535 }),
    name: text(128),
    uuid: fc.uuid(),
    vcpuCount: fc.integer({ min: 1, max: 16 }),
    ramBlocks,
    config: scalars,
  }),
  capabilities,
  parameters: scalars,
  duplex: fc.boolean(),
};

const hello = fc.record(
  { ...helloFields, secret: fc.stringMatching(/^[0-9a-f]{32}$/) },
  {
    // The keys of the object are exactly its own.
    requiredKeys: Object.keys(helloFields) as (keyof typeof helloFields)[],
    noNullPrototype: true,
  },
);

const error = fc.record(
  {
    code: fc.integer({ min: 1, max: 65_535 }),
    phase: text(64),
    text: text(512),
    guestOwner: fc.constantFrom('source', 'destination', 'unknown', 'none'),
    detail: scalars,
  },
  { requiredKeys: ['code', 'text'], noNullPrototype: true },
);

const sections = fc.array(
  fc.record({ name: text(128), version: uint32, bytes: fc.uint8Array({ maxLength: 2000 }) }),
  { maxLength: 8 },
);

const BODIES: Readonly<
  Record<ControlName, readonly [(body: never) => Uint8Array, fc.Arbitrary<object>]>
> = {
  HELLO: [encodeHello, hello],
  HELLO_ACK: [
    encodeHelloAck,
    fc.record({ software: text(128), capabilities, parameters: scalars, receivedPages: pages }),
  ],
  ERROR: [encodeError, error],
  CANCEL: [encodeCancel, fc.record({ reason: text(512) })],
  PING: [encodePing, fc.record({ id: uint32, timeMs: amount })],
  PONG: [encodePong, fc.record({ id: uint32, timeMs: amount, peerTimeMs: amount })],
  PASS_BEGIN: [
    encodePassBegin,
    fc.record({ pass: fc.integer({ min: 1, max: 2 ** 32 - 1 }), dirtyPages: pages }),
  ],
  PROGRESS: [encodeProgress, fc.record({ receivedBytes: fc.maxSafeNat(), pages: fc.maxSafeNat() })],
  STOPPED: [encodeStopped, fc.record({ pass: uint32, lastStepMs: moments, pausedAtMs: amount })],
  MACHINE_STATE: [encodeMachineState, fc.record({ sections })],
  SWITCHOVER: [
    encodeSwitchover,
    fc.record(
      {
        pages,
        batches: uint32,
        strictVerify: fc.boolean(),
        paused: fc.boolean(),
        missingPages: pages,
      },
      {
        requiredKeys: ['pages', 'batches', 'strictVerify', 'paused'],
        noNullPrototype: true,
      },
    ),
  ],
  SWITCHOVER_ACK: [encodeSwitchoverAck, fc.record({ epoch, loadMs: amount })],
  GRANT: [encodeGrant, fc.record({ epoch })],
  RESUMED: [
    encodeResumed,
    fc.record({
      epoch,
      running: fc.boolean(),
      parts: fc.dictionary(key, amount, { maxKeys: 8 }),
    }),
  ],
  GUEST_STARTED: [
    encodeGuestStarted,
    fc.record({
      firstStepMs: moments,
      longestGapMs: moment,
      guestDowntimeUs: fc.option(amount),
      errorUs: fc.option(amount),
    }),
  ],
  VERIFY_END: [
    encodeVerifyEnd,
    fc.record({ pages, partial: fc.boolean() }, { requiredKeys: ['pages'] }),
  ],
  VERIFY_RESULT: [
    encodeVerifyResult,
    fc.record({
      status: fc.constantFrom('identical', 'mismatch'),
      pages,
      mismatches: fc.array(text(160), { maxLength: 16 }),
    }),
  ],
  GOODBYE: [encodeGoodbye, fc.constant({})],
  POSTCOPY_RESUMED: [
    encodePostcopyResumed,
    fc.record({
      epoch,
      running: fc.boolean(),
      parts: fc.dictionary(key, amount, { maxKeys: 8 }),
    }),
  ],
  PAGE_REQUEST: [
    encodePageRequest,
    fc.record({
      pages: fc.array(
        fc.record({ block: fc.nat({ max: 15 }), pfn: fc.nat({ max: 2 ** 22 - 1 }) }),
        { minLength: 1, maxLength: 16 },
      ),
    }),
  ],
  POSTCOPY_END: [encodePostcopyEnd, fc.record({ pages: fc.maxSafeNat() })],
  ALL_RECEIVED: [
    encodeAllReceived,
    fc.record({
      pages,
      requestedPages: pages,
      blocktimeMs: amount,
      vcpuBlocktimeMs: moments,
      latencyNs: amount,
    }),
  ],
  JOIN: [
    encodeJoin,
    fc.record(
      {
        protocol: fc.constant(1),
        software: text(128),
        role: fc.constantFrom(...JOIN_ROLES),
        uuid: fc.uuid(),
        migrationId: fc.stringMatching(/^[A-Za-z0-9-]{1,64}$/),
        epoch,
        secret: fc.stringMatching(/^[0-9a-f]{32}$/),
        claimedEpoch: epoch,
        journal: fc.boolean(),
      },
      {
        requiredKeys: [
          ...(['protocol', 'software', 'role', 'uuid', 'migrationId', 'epoch', 'secret'] as const),
        ],
      },
    ),
  ],
  RECOVERY: [
    encodeRecovery,
    fc.record({
      outcome: fc.constantFrom(...RECOVERY_OUTCOMES),
      epoch,
      continues: fc.boolean(),
      running: fc.boolean(),
    }),
  ],
  RECOVERED: [encodeRecovered, fc.record({ missingPages: pages })],
  ATTACHED: [encodeAttached, fc.constant({})],
  JOURNAL_STATE: [encodeJournalState, fc.record({ sections })],
  JOURNAL_POINT: [
    encodeJournalPoint,
    fc.record({
      point: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      pages: uint32,
      batches: uint32,
      ageMs: amount,
    }),
  ],
  JOURNAL_ACK: [encodeJournalAck, fc.record({ point: uint32, batches: uint32 })],
  PROBE: [
    encodeProbe,
    fc.record({ protocol: fc.integer({ min: 1, max: 255 }), durationMs: probeMs }),
  ],
  PROBE_ACK: [
    encodeProbeAck,
    fc.record({ durationMs: probeMs, bytes: fc.integer({ min: 1, max: 2 ** 34 }) }),
  ],
  PROBE_END: [encodeProbeEnd, fc.record({ bytes: probeBytes })],
  PROBE_RESULT: [
    encodeProbeResult,
    fc.record({ receivedBytes: probeBytes, spanBytes: probeBytes, spanMs: amount }),
  ],
};

export const MESSAGE_CASES: readonly MessageCase[] = Object.entries(BODIES).map(
  ([name, [encode, body]]) => ({
    name: name as ControlName,
    encode,
    decode: CONTROL_DECODERS[name as ControlName],
    body,
  }),
);

/** Any control message as `{ name, bytes }`. */
export const anyMessage: fc.Arbitrary<{ name: ControlName; bytes: Uint8Array }> = fc
  .constantFrom(...MESSAGE_CASES)
  .chain(({ name, encode, body }) =>
    body.map((value) => ({ name, bytes: encode(value as never) })),
  );
