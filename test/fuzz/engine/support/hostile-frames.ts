import { PAGE_BYTES, RAM_BYTES_MIN } from '../../../../src/base/index.ts';
import {
  encodeAllReceived,
  encodeAttached,
  encodeCancel,
  encodeError,
  encodeGrant,
  encodeGuestStarted,
  encodeHello,
  encodeHelloAck,
  encodeJoin,
  encodeMachineState,
  encodePageMap,
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
  encodeVerifyHashes,
  encodeVerifyResult,
  type HelloBody,
  PAGE_KINDS,
} from '../../../../src/protocol/index.ts';
import { blockFrame, controlFrame, mapFrame } from './frames.ts';
import { BLOCK_PAGES, UUID } from './honest-conversation.ts';

/**
 * Messages that are well-formed and mean harm, or nothing. Any of them may come at any moment, from
 * either side.
 */
export function hostileFrames(): readonly Uint8Array[] {
  return [
    ...hellos(),
    ...sourceFrames(),
    ...pageFrames(),
    ...destinationFrames(),
    ...postcopyFrames(),
    ...probeFrames(),
    ...bombs(),
  ];
}

const HELLO: HelloBody = {
  protocol: 1,
  software: 'hostile',
  role: 'main',
  migrationId: 'hostile',
  guest: { epoch: 1 },
  pageBytes: PAGE_BYTES,
  machine: {
    type: 'sim',
    version: 1,
    name: 'sim',
    uuid: UUID,
    vcpuCount: 2,
    ramBlocks: BLOCK_PAGES.map((pages, index) => ({
      name: `ram${index}`,
      bytes: pages * PAGE_BYTES,
    })),
    config: { seed: 1 },
  },
  capabilities: ['xbzrle'],
  parameters: { 'x-stall-timeout': 10_000 },
  duplex: true,
};

function hellos(): Uint8Array[] {
  const machine = (changes: Partial<HelloBody['machine']>): HelloBody => ({
    ...HELLO,
    machine: { ...HELLO.machine, ...changes },
  });
  const blocks = (count: number, bytes: number) =>
    Array.from({ length: count }, (_, index) => ({ name: `r${index}`, bytes }));
  return [
    HELLO,
    {
      ...HELLO,
      pageBytes: 512,
      machine: { ...HELLO.machine, ramBlocks: blocks(1, 2 ** 24 + 512) },
    },
    { ...HELLO, pageBytes: 65_536, machine: { ...HELLO.machine, ramBlocks: blocks(1, 2 ** 24) } },
    { ...HELLO, guest: { epoch: 0 } },
    { ...HELLO, guest: { epoch: Number.MAX_SAFE_INTEGER - 2 } },
    { ...HELLO, protocol: 255 },
    { ...HELLO, duplex: false },
    { ...HELLO, capabilities: Array.from({ length: 64 }, (_, index) => `c${index}`) },
    { ...HELLO, parameters: { 'x-stall-timeout': 100, 'x-mode': 'stop', x: 'y'.repeat(1900) } },
    machine({ ramBlocks: blocks(8, 2 ** 31) }),
    machine({ ramBlocks: blocks(16, RAM_BYTES_MIN / 16) }),
    machine({ vcpuCount: 16 }),
    machine({ uuid: 'ffffffff-ffff-4fff-8fff-ffffffffffff' }),
    machine({ type: 'workload' }),
    machine({ version: 65_535 }),
    machine({ config: { seed: 'NaN', more: true } }),
  ].map((body) => controlFrame('HELLO', encodeHello(body)));
}

function probeFrames(): Uint8Array[] {
  return [
    controlFrame('PROBE', encodeProbe({ protocol: 1, durationMs: 10_000 })),
    controlFrame('PROBE_ACK', encodeProbeAck({ durationMs: 1, bytes: 1 })),
    blockFrame('PROBE_DATA', 0, new Uint8Array(4096), 0),
    blockFrame('PROBE_DATA', 0, new Uint8Array(0), 0),
    blockFrame('PROBE_DATA', 0, new Uint8Array(16), 16),
    controlFrame('PROBE_END', encodeProbeEnd({ bytes: 2 ** 34 })),
    controlFrame('PROBE_RESULT', encodeProbeResult({ receivedBytes: 0, spanBytes: 9, spanMs: 0 })),
  ];
}

function sourceFrames(): Uint8Array[] {
  const state = (names: readonly string[], byteCount: number) =>
    encodeMachineState({
      sections: names.map((name) => ({ name, version: 1, bytes: new Uint8Array(byteCount) })),
    });
  return [
    ...[1, 2, 3, Number.MAX_SAFE_INTEGER - 1].map((epoch) =>
      controlFrame('GRANT', encodeGrant({ epoch })),
    ),
    controlFrame('PASS_BEGIN', encodePassBegin({ pass: 2 ** 32 - 1, dirtyPages: 2 ** 22 })),
    controlFrame('STOPPED', encodeStopped({ pass: 0, lastStepMs: [], pausedAtMs: 1e300 })),
    controlFrame(
      'STOPPED',
      encodeStopped({ pass: 1, lastStepMs: [Number.NaN, -1e300], pausedAtMs: 0 }),
    ),
    controlFrame('MACHINE_STATE', state([], 0)),
    controlFrame('MACHINE_STATE', state(['vcpu', 'clock'], 7)),
    controlFrame('MACHINE_STATE', state(['vcpu', 'clock'], 16)),
    controlFrame('MACHINE_STATE', state(['vcpu'], 2 ** 19)),
    controlFrame(
      'SWITCHOVER',
      encodeSwitchover({ pages: 0, batches: 0, strictVerify: true, paused: false }),
    ),
    controlFrame(
      'SWITCHOVER',
      encodeSwitchover({ pages: 4096, batches: 1, strictVerify: true, paused: false }),
    ),
    controlFrame('VERIFY_END', encodeVerifyEnd({ pages: 4096 })),
    controlFrame('CANCEL', encodeCancel({ reason: 'no reason' })),
    controlFrame('GOODBYE', new Uint8Array([0x80])),
  ];
}

function pageFrames(): Uint8Array[] {
  const entry = (pfn: number, kind: number, length: number, hash = 0n): Uint8Array => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, pfn, true);
    view.setUint8(4, kind);
    view.setUint16(6, length, true);
    view.setBigUint64(8, hash, true);
    return bytes;
  };
  const batch = (block: number, table: Uint8Array, payload = new Uint8Array(0)) =>
    blockFrame('PAGE_BATCH', block, Buffer.concat([payload, table]), table.length);
  const page = new Uint8Array(PAGE_BYTES).fill(0x77);
  const [first, second] = BLOCK_PAGES;
  const hashes = (block: number, firstPfn: number, count: number) => {
    const body = encodeVerifyHashes({
      firstPfn,
      hashes: Array.from({ length: count }, (_, index) => BigInt(index)),
    });
    return blockFrame('VERIFY_HASHES', block, body, body.length);
  };
  const announced = encodeVerifyHashes({ firstPfn: 0, hashes: [1n, 2n] });
  new DataView(announced.buffer).setUint32(4, 0xffff_ffff, true);
  return [
    batch(0, entry(0, PAGE_KINDS.ZERO_RUN, 65_535)),
    batch(0, entry(first - 1, PAGE_KINDS.ZERO_RUN, 2)),
    batch(0, entry(0xffff_ffff, PAGE_KINDS.ZERO_RUN, 65_535)),
    batch(0, entry(0, PAGE_KINDS.ZERO_RUN, 0)),
    batch(0, entry(0, PAGE_KINDS.ZERO_RUN, first)),
    batch(1, entry(0, PAGE_KINDS.ZERO_RUN, second)),
    batch(1, entry(second, PAGE_KINDS.RAW, PAGE_BYTES), page),
    batch(0, entry(first, PAGE_KINDS.RAW, PAGE_BYTES), page),
    batch(0, entry(0xffff_fff0, PAGE_KINDS.RAW, PAGE_BYTES), page),
    batch(0, entry(7, PAGE_KINDS.RAW, PAGE_BYTES, 1n), page),
    batch(0, entry(7, PAGE_KINDS.RAW, 8), page.subarray(0, 8)),
    batch(0, entry(0, PAGE_KINDS.XBZRLE, 8, 1n), new Uint8Array([0, 8, 1, 2, 3, 4, 5, 6])),
    batch(
      0,
      entry(0, PAGE_KINDS.XBZRLE, 8, 1n),
      new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ),
    batch(0, entry(0, PAGE_KINDS.XBZRLE, 4095)),
    // LZ4: a match that goes on for ever, an offset to before the page, half a page, and a delta.
    batch(0, entry(3, PAGE_KINDS.LZ4, 8, 1n), Uint8Array.of(0x1f, 1, 1, 0, 255, 255, 255, 255)),
    batch(0, entry(3, PAGE_KINDS.LZ4, 8, 1n), Uint8Array.of(0x1f, 1, 0xff, 0xff, 9, 0x10, 7, 0)),
    batch(0, entry(3, PAGE_KINDS.LZ4, 8, 1n), Uint8Array.of(0x70, 1, 2, 3, 4, 5, 6, 7)),
    batch(0, entry(3, PAGE_KINDS.LZ4, 4095, 1n), new Uint8Array(4096).fill(255)),
    batch(0, entry(0, PAGE_KINDS.LZ4_XBZRLE, 8, 1n), Uint8Array.of(0x70, 0, 8, 1, 2, 3, 4, 5)),
    ...[0, 4, 5, 6, 255].map((kind) => batch(0, entry(0, kind, 16), new Uint8Array(16))),
    batch(2, entry(0, PAGE_KINDS.ZERO_RUN, 1)),
    batch(65_535, entry(0, PAGE_KINDS.ZERO_RUN, 1)),
    batch(0, new Uint8Array(0)),
    batch(0, new Uint8Array(7)),
    batch(
      0,
      Buffer.concat(Array.from({ length: 300 }, () => entry(0, PAGE_KINDS.ZERO_RUN, first))),
    ),
    hashes(0, 0, 100),
    hashes(0, first - 1, 2),
    hashes(1, 0xffff_fff0, 3),
    hashes(9, 0, 1),
    blockFrame('VERIFY_HASHES', 0, announced, announced.length),
    blockFrame('VERIFY_HASHES', 0, new Uint8Array(8), 8),
  ];
}

function destinationFrames(): Uint8Array[] {
  const huge = Number.MAX_SAFE_INTEGER;
  const errors = (['source', 'destination', 'unknown', 'none', undefined] as const).map(
    (guestOwner) =>
      controlFrame(
        'ERROR',
        encodeError({
          code: 60_000,
          text: 'hostile',
          ...(guestOwner === undefined ? {} : { guestOwner }),
        }),
      ),
  );
  return [
    ...errors,
    controlFrame(
      'HELLO_ACK',
      encodeHelloAck({ software: 'hostile', capabilities: [], parameters: {}, receivedPages: 7 }),
    ),
    controlFrame('PROGRESS', encodeProgress({ receivedBytes: huge, pages: huge })),
    controlFrame('PROGRESS', encodeProgress({ receivedBytes: 0, pages: 0 })),
    controlFrame('PING', encodePing({ id: 2 ** 32 - 1, timeMs: 1e300 })),
    controlFrame('PONG', encodePong({ id: 1, timeMs: 1e300, peerTimeMs: 0 })),
    controlFrame('PONG', encodePong({ id: 0, timeMs: 0, peerTimeMs: 1e300 })),
    controlFrame('SWITCHOVER_ACK', encodeSwitchoverAck({ epoch: 77, loadMs: 1e300 })),
    controlFrame('RESUMED', encodeResumed({ epoch: 77, running: false, parts: {} })),
    controlFrame('RESUMED', encodeResumed({ epoch: 2, running: true, parts: { load: 1e300 } })),
    controlFrame(
      'GUEST_STARTED',
      encodeGuestStarted({
        firstStepMs: [],
        longestGapMs: Number.NaN,
        guestDowntimeUs: 1e300,
        errorUs: null,
      }),
    ),
    controlFrame(
      'VERIFY_RESULT',
      encodeVerifyResult({ status: 'mismatch', pages: 0, mismatches: ['ram0:0'] }),
    ),
    controlFrame(
      'VERIFY_RESULT',
      encodeVerifyResult({ status: 'identical', pages: 2 ** 22, mismatches: [] }),
    ),
  ];
}

function postcopyFrames(): Uint8Array[] {
  const [first, second] = BLOCK_PAGES;
  const map = (name: 'MISSING_MAP' | 'RECEIVED_MAP', block: number, pages: number, fill: number) =>
    mapFrame(name, block, encodePageMap(bitmapOf(pages, fill), pages));
  const maps = (['MISSING_MAP', 'RECEIVED_MAP'] as const).flatMap((name) => [
    ...[0, 0xff, 0x55].map((fill) => map(name, 0, first, fill)),
    map(name, 1, second, 0xff),
    map(name, 0, second, 0xff),
    map(name, 9, 8, 0xff),
    mapFrame(name, 0, new Uint8Array(8)),
    mapFrame(name, 1, new Uint8Array([second, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0x7f, 1])),
  ]);
  const requests = [
    [{ block: 0, pfn: 0 }],
    [{ block: 0, pfn: first }],
    [{ block: 15, pfn: 2 ** 22 - 1 }],
    Array.from({ length: 16 }, () => ({ block: 0, pfn: 1 })),
    Array.from({ length: 16 }, (_, index) => ({ block: 1, pfn: index })),
  ].map((pages) => controlFrame('PAGE_REQUEST', encodePageRequest({ pages })));
  const joins = (['recover', 'preempt'] as const).map((role) =>
    controlFrame(
      'JOIN',
      encodeJoin({
        ...{ protocol: 1, software: 'hostile', role, uuid: UUID, migrationId: 'captured' },
        ...{ epoch: 2, secret: 'f'.repeat(32), claimedEpoch: 9 },
      }),
    ),
  );
  const recoveries = (['owner', 'abandoned', 'moved', 'lost', 'none'] as const).map((outcome) =>
    controlFrame('RECOVERY', encodeRecovery({ outcome, epoch: 2, continues: true, running: true })),
  );
  const allReceived = {
    ...{ pages: 4096, requestedPages: 1, blocktimeMs: 0, vcpuBlocktimeMs: [], latencyNs: 0 },
  };
  return [
    ...maps,
    ...requests,
    ...joins,
    ...recoveries,
    controlFrame('POSTCOPY_RESUMED', encodePostcopyResumed({ epoch: 2, running: true, parts: {} })),
    controlFrame('POSTCOPY_END', encodePostcopyEnd({ pages: 0 })),
    controlFrame('POSTCOPY_END', encodePostcopyEnd({ pages: Number.MAX_SAFE_INTEGER })),
    controlFrame('ALL_RECEIVED', encodeAllReceived(allReceived)),
    controlFrame('RECOVERED', encodeRecovered({ missingPages: 0 })),
    controlFrame('RECOVERED', encodeRecovered({ missingPages: 4096 })),
    controlFrame('ATTACHED', encodeAttached()),
  ];
}

function bitmapOf(pages: number, fill: number): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(pages / 8)).fill(fill);
  const spare = bitmap.length * 8 - pages;
  bitmap[bitmap.length - 1] = fill & (0xff >>> spare);
  return bitmap;
}

/** MessagePack that says more than it is: nesting, and lists and maps of 2^32 items. */
function bombs(): Uint8Array[] {
  const bodies = [
    new Uint8Array(200).fill(0x91),
    new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff]),
    new Uint8Array([0xdf, 0xff, 0xff, 0xff, 0xff]),
    new Uint8Array([0xc6, 0xff, 0xff, 0xff, 0xff]),
    new Uint8Array([0xc1]),
    new Uint8Array(0),
  ];
  const names = ['HELLO', 'GRANT', 'MACHINE_STATE', 'RESUMED', 'ERROR', 'CANCEL', 'PING'] as const;
  return names.flatMap((name) => bodies.map((body) => controlFrame(name, body)));
}
