import {
  type ControlName,
  encodeAllReceived,
  encodeAttached,
  encodeCancel,
  encodeError,
  encodeFrame,
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
  encodePageBatch,
  encodePageMap,
  encodePageRequest,
  encodePagesFrame,
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
  encodeVerifyHashes,
  encodeVerifyResult,
  type HelloBody,
  MESSAGE_TYPES,
  type MessageName,
  type PageEntry,
} from '../../../src/protocol/index.ts';

/** One fixed example of every message: the unit tests change it, the golden files freeze it. */
export const HELLO: HelloBody = {
  protocol: 1,
  software: 'sterna 0.1.0',
  role: 'main',
  migrationId: '5f6c1c2e-0001-4000-8000-00000000002a',
  guest: { epoch: 7 },
  pageBytes: 4096,
  machine: {
    type: 'workload',
    version: 1,
    name: 'tern',
    uuid: '6ba7b810-9dad-41d1-80b4-00c04fd430c8',
    vcpuCount: 2,
    ramBlocks: [
      { name: 'ram0', bytes: 2 * 2 ** 30 },
      { name: 'ram1', bytes: 64 * 2 ** 20 },
    ],
    config: { spec: 'memwrite,fill=900M', seed: 42, quiet: true },
  },
  capabilities: ['xbzrle', 'return-path'],
  parameters: { 'downtime-limit': 300, 'x-mode': 'precopy', 'x-later': false },
  duplex: true,
};

export const CONTROL_BODIES: Readonly<Record<ControlName, Uint8Array>> = {
  HELLO: encodeHello(HELLO),
  HELLO_ACK: encodeHelloAck({
    software: 'sterna 0.1.0',
    capabilities: ['xbzrle'],
    parameters: { 'downtime-limit': 300 },
    receivedPages: 0,
  }),
  ERROR: encodeError({
    code: 61,
    phase: 'switchover',
    text: '17 pages never came',
    guestOwner: 'source',
    detail: { pages: 17, block: 'ram0', final: true },
  }),
  CANCEL: encodeCancel({ reason: 'migrate_cancel' }),
  PING: encodePing({ id: 1, timeMs: 1234.5 }),
  PONG: encodePong({ id: 1, timeMs: 1234.5, peerTimeMs: 99.25 }),
  PASS_BEGIN: encodePassBegin({ pass: 3, dirtyPages: 70_000 }),
  PROGRESS: encodeProgress({ receivedBytes: 2 ** 33 + 1, pages: 262_144 }),
  STOPPED: encodeStopped({ pass: 4, lastStepMs: [1000.125, Number.NaN], pausedAtMs: 1001.5 }),
  MACHINE_STATE: encodeMachineState({
    sections: [
      { name: 'vcpu0', version: 1, bytes: new Uint8Array([1, 2, 3, 255]) },
      { name: 'clock', version: 2, bytes: new Uint8Array(0) },
    ],
  }),
  SWITCHOVER: encodeSwitchover({ pages: 540_672, batches: 3, strictVerify: false, paused: false }),
  SWITCHOVER_ACK: encodeSwitchoverAck({ epoch: 8, loadMs: 0.75 }),
  GRANT: encodeGrant({ epoch: 8 }),
  RESUMED: encodeResumed({ epoch: 8, running: true, parts: { record: 0.5, resume: 0.25 } }),
  GUEST_STARTED: encodeGuestStarted({
    firstStepMs: [1003.5, Number.NaN],
    longestGapMs: 0.5,
    guestDowntimeUs: 3375,
    errorUs: null,
  }),
  VERIFY_END: encodeVerifyEnd({ pages: 540_672 }),
  VERIFY_RESULT: encodeVerifyResult({
    status: 'mismatch',
    pages: 540_672,
    mismatches: ['ram0:17', 'ram1:3'],
  }),
  GOODBYE: encodeGoodbye(),
  POSTCOPY_RESUMED: encodePostcopyResumed({ epoch: 8, running: true, parts: { record: 0.5 } }),
  PAGE_REQUEST: encodePageRequest({
    pages: [
      { block: 0, pfn: 524_287 },
      { block: 1, pfn: 0 },
    ],
  }),
  POSTCOPY_END: encodePostcopyEnd({ pages: 70_001 }),
  ALL_RECEIVED: encodeAllReceived({
    pages: 540_672,
    requestedPages: 312,
    blocktimeMs: 1.5,
    vcpuBlocktimeMs: [20.25, 1.5],
    latencyNs: 68_500,
  }),
  JOIN: encodeJoin({
    protocol: 1,
    software: 'sterna 0.1.0',
    role: 'recover',
    uuid: HELLO.machine.uuid,
    migrationId: HELLO.migrationId,
    epoch: 8,
    secret: '000102030405060708090a0b0c0d0e0f',
  }),
  RECOVERY: encodeRecovery({ outcome: 'owner', epoch: 8, continues: true, running: true }),
  RECOVERED: encodeRecovered({ missingPages: 1234 }),
  ATTACHED: encodeAttached(),
  JOURNAL_STATE: encodeJournalState({
    sections: [{ name: 'vcpu0', version: 1, bytes: new Uint8Array([9, 8, 7]) }],
  }),
  JOURNAL_POINT: encodeJournalPoint({ point: 12, pages: 345, batches: 3, ageMs: 12.5 }),
  JOURNAL_ACK: encodeJournalAck({ point: 12, batches: 0 }),
  PROBE: encodeProbe({ protocol: 1, durationMs: 4000 }),
  PROBE_ACK: encodeProbeAck({ durationMs: 4000, bytes: 2 ** 34 }),
  PROBE_END: encodeProbeEnd({ bytes: 262_176 }),
  PROBE_RESULT: encodeProbeResult({ receivedBytes: 262_176, spanBytes: 131_088, spanMs: 1000.5 }),
};

/** Pages 3 to 6 and the last of 20. */
export const PAGE_MAP = { pageCount: 20, bitmap: Uint8Array.from([0x78, 0, 0x08]) };

/** Every byte differs from its neighbours, so that a shifted page shows. */
const RAW_PAGE = Uint8Array.from({ length: 4096 }, (_, index) => (index * 7 + (index >> 8)) & 0xff);

export const PAGE_ENTRIES: readonly PageEntry[] = [
  { kind: 'ZERO_RUN', pfn: 0, pages: 16 },
  { kind: 'RAW', pfn: 16, hash: 0x0123456789abcdefn, payload: RAW_PAGE },
  { kind: 'XBZRLE', pfn: 300, hash: 0xfedcba9876543210n, payload: new Uint8Array([0x7f, 1, 1]) },
];

/** A page of one letter, and the delta of above. */
export const LZ4_ENTRIES: readonly PageEntry[] = [
  {
    kind: 'LZ4',
    pfn: 17,
    hash: 0x1111222233334444n,
    // A literal, a match of 4090 octets, five literals.
    payload: Uint8Array.from([
      ...[0x1f, 0x61, 1, 0],
      ...new Uint8Array(15).fill(255),
      ...[246, 0x50],
      ...new Uint8Array(5).fill(0x61),
    ]),
  },
  { kind: 'LZ4_XBZRLE', pfn: 301, hash: 7n, payload: Uint8Array.of(0x30, 0x7f, 1, 1) },
];

export function lz4Frame(sequence: number): Uint8Array {
  const { body, checkedBytes } = encodePageBatch(LZ4_ENTRIES);
  return encodePagesFrame(MESSAGE_TYPES.PAGE_BATCH, sequence, 1, body, checkedBytes);
}

/** The whole frame of the example of `name`. */
export function sampleFrame(name: MessageName, sequence: number): Uint8Array {
  const type = MESSAGE_TYPES[name];
  if (name === 'PAGE_BATCH' || name === 'JOURNAL_PAGES') {
    const isJournal = name === 'JOURNAL_PAGES';
    const entries = PAGE_ENTRIES.filter(({ kind }) => !isJournal || kind !== 'XBZRLE');
    const { body, checkedBytes } = encodePageBatch(entries);
    return encodePagesFrame(type, sequence, 1, body, checkedBytes);
  }
  if (name === 'VERIFY_HASHES') {
    const body = encodeVerifyHashes({ firstPfn: 256, hashes: [0n, 1n, 0xfedcba9876543210n] });
    return encodePagesFrame(type, sequence, 1, body, body.length);
  }
  if (name === 'MISSING_MAP' || name === 'RECEIVED_MAP') {
    const body = encodePageMap(PAGE_MAP.bitmap, PAGE_MAP.pageCount);
    return encodePagesFrame(type, sequence, 1, body, body.length);
  }
  if (name === 'PROBE_DATA') {
    return encodePagesFrame(type, sequence, 0, Uint8Array.of(0xde, 0xad, 0, 0xff), 0);
  }
  return encodeFrame(type, sequence, CONTROL_BODIES[name]);
}

/** A stream of the examples of `names`, numbered from 0. */
export function sampleStream(names: readonly MessageName[]): Uint8Array {
  return Buffer.concat(names.map((name, sequence) => sampleFrame(name, sequence)));
}
