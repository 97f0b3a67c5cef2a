import { beforeEach, describe, expect, test } from 'vitest';
import { crc32c, PAGE_BYTES, SimClock, SternaError } from '../../../src/base/index.ts';
import type { PauseReason } from '../../../src/guestmem/index.ts';
import {
  encodeJournalPoint,
  encodeJournalState,
  encodePageBatch,
  type FrameHeader,
  type JournalAckBody,
  MESSAGE_TYPES,
  type PageEntry,
} from '../../../src/protocol/index.ts';
import { Journal, type JournalMessage } from '../../../src/source/postcopy/journal/journal.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { fillGuest } from '../../support/guest-script.ts';

/** A destination that lies, against the journal of a frozen guest. */

const BUFFER_PAGES = 8;
const STATE = { sections: [{ name: 'vcpus', version: 1, bytes: Uint8Array.of(7) }] };
/** Filled by the guest, and at the destination. */
const PRESENT = 5;
/** Still on its way. */
const MISSING = 8;

describe('Journal', () => {
  let machine: FakeMachine;
  let journal: Journal;
  let acknowledged: JournalAckBody[];
  let refused: SternaError | undefined;
  let before: Buffer[];
  let reasonsAtLoad: (readonly PauseReason[])[];

  beforeEach(async () => {
    const clock = new SimClock({ startMs: 1000 });
    const beforeLoad = () => reasonsAtLoad.push(machine.pauseReasons());
    reasonsAtLoad = [];
    machine = new FakeMachine(clock, { beforeLoad });
    fillGuest(machine, 20);
    await machine.pause('ownership');
    await machine.flipDirtyLogs();
    machine.memory.mergeRetiredLogs();
    machine.block(0).setDirty(bitmapOf(MISSING));
    const bufferBytes = BUFFER_PAGES * PAGE_BYTES;
    journal = new Journal({ machine, bufferBytes, clock, reached: () => {} });
    acknowledged = [];
    refused = undefined;
    journal.linked({
      acknowledge: (body) => acknowledged.push(body),
      refuse: (error) => {
        refused = error;
      },
    });
    before = ram();
  });

  const ram = () => machine.memory.blocks.map((block) => Buffer.from(block.ram));

  function bitmapOf(pfn: number): Uint8Array {
    const bitmap = machine.block(0).dirtyPages().fill(0);
    bitmap[pfn >>> 3] = 1 << (pfn & 7);
    return bitmap;
  }

  const isUntouched = () => ram().every((block, index) => block.equals(before[index] as Buffer));

  /** A page with its right hash. */
  function page(pfn: number, byte: number, index = 0): PageEntry {
    const block = machine.block(index);
    const at = block.slotAddress(0);
    block.bytes.fill(byte, at, at + PAGE_BYTES);
    const hash = BigInt.asUintN(64, block.kernels.hashPage(at, pfn));
    return { kind: 'RAW', pfn, hash, payload: new Uint8Array(PAGE_BYTES).fill(byte) };
  }

  function pages(entries: readonly PageEntry[], changes: Partial<FrameHeader> = {}): void {
    const { body, checkedBytes } = encodePageBatch(entries);
    const header: FrameHeader = {
      type: MESSAGE_TYPES.JOURNAL_PAGES,
      optional: false,
      bodyBytes: body.length,
      checkedBytes,
      sequence: 0,
      block: 0,
      checkedCrc: crc32c(body.subarray(body.length - checkedBytes)),
      ...changes,
    };
    const place = journal.place(header, true);
    if (place instanceof SternaError) throw place;
    place.set(body);
    journal.receive('JOURNAL_PAGES', header, place.subarray(0, body.length));
  }

  function control(name: JournalMessage, body: Uint8Array): void {
    const header = { bodyBytes: body.length, checkedBytes: body.length, block: 0 } as FrameHeader;
    journal.receive(name, header, body);
  }

  const state = (body = STATE) => control('JOURNAL_STATE', encodeJournalState(body));
  const point = (point: number, pages: number, batches: number) =>
    control('JOURNAL_POINT', encodeJournalPoint({ point, pages, batches, ageMs: 0 }));

  function expectRefused(work: () => void, code: string, text: RegExp): void {
    let thrown: unknown;
    try {
      work();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code, message: expect.stringMatching(text) });
    expect(isUntouched()).toBe(true);
    expect(machine.loaded).toBeUndefined();
  }

  test('marks the guest while it is of no one moment, whether the point is taken or not', async () => {
    const section = { name: 'unknown', version: 1, bytes: new Uint8Array(0) };
    for (const [index, body] of [STATE, { sections: [section] }].entries()) {
      pages([page(PRESENT, 1)]);
      state(body);
      point(index + 1, 1, 1);
      expect(machine.pauseReasons()).toContain('checkpoint');
      await journal.settled;
      expect(reasonsAtLoad[index]).toContain('checkpoint');
      expect(machine.pauseReasons()).toEqual(['ownership']);
    }
    expect(refused?.code).toBe('E_MACHINE_STATE');
  });

  test('applies a point at its JOURNAL_POINT and not before, the last page of each counting', async () => {
    pages([page(PRESENT, 1), page(6, 2)]);
    pages([page(PRESENT, 3), { kind: 'ZERO_RUN', pfn: 11, pages: 1 }]);
    state();
    expect(isUntouched()).toBe(true);
    expect(acknowledged).toEqual([
      { point: 0, batches: 1 },
      { point: 0, batches: 2 },
    ]);
    point(1, 4, 2);
    await journal.settled;
    expect(acknowledged.at(-1)).toEqual({ point: 1, batches: 0 });
    expect(machine.loaded).toEqual(STATE);
    const [low] = ram();
    expect(low?.[PRESENT * PAGE_BYTES]).toBe(3);
    expect(low?.[6 * PAGE_BYTES]).toBe(2);
    expect(low?.subarray(11 * PAGE_BYTES, 12 * PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
  });

  test('keeps the hash of the switch of a page that was overwritten twice', async () => {
    const hash = machine.block(0).hashOf(PRESENT);
    for (const number of [1, 2]) {
      pages([page(PRESENT, number)]);
      state();
      point(number, 1, 1);
      await journal.settled;
    }
    const list = Buffer.alloc(8 * 3);
    journal.switchHashes.putInto(list, machine.block(0), PRESENT - 1, 3);
    expect([0, 8, 16].map((at) => list.readBigUInt64LE(at))).toEqual([0n, hash, 0n]);
    expect(() => journal.refuseMissing(machine.block(0), bitmapOf(PRESENT))).toThrow(/missing/);
    expect(() => journal.refuseMissing(machine.block(0), bitmapOf(MISSING))).not.toThrow();
  });

  test('refuses a page that is missing at the destination, also in a zero run', () => {
    expectRefused(() => pages([page(MISSING, 1)]), 'E_PROTOCOL_BAD_BODY', /does not have/);
    const run: PageEntry = { kind: 'ZERO_RUN', pfn: MISSING - 2, pages: 3 };
    expectRefused(() => pages([run]), 'E_PROTOCOL_BAD_BODY', /does not have/);
  });

  test('refuses a page with another hash', () => {
    const wrong = { ...page(PRESENT, 1), hash: 1n } as PageEntry;
    expectRefused(() => pages([page(6, 1), wrong]), 'E_PAGE_HASH', /hash/);
  });

  test('refuses a damaged table', () => {
    const work = () => pages([page(PRESENT, 1)], { checkedCrc: 1 });
    expectRefused(work, 'E_PROTOCOL_CHECKSUM', /checksum/);
  });

  test('refuses pages beyond RAM, of no block, and deltas', () => {
    const code = 'E_PROTOCOL_BAD_BODY';
    expectRefused(() => pages([page(1000, 1)]), code, /beyond/);
    expectRefused(() => pages([page(PRESENT, 1)], { block: 3 }), code, /does not exist/);
    const payload = Uint8Array.of(0, 1, 1);
    const delta: PageEntry = { kind: 'XBZRLE', pfn: PRESENT, hash: 1n, payload };
    expectRefused(() => pages([delta]), code, /not whole/);
  });

  test('refuses more pages than the buffer holds, and keeps no more', () => {
    const run = (pfn: number, count: number): PageEntry => ({
      kind: 'ZERO_RUN',
      pfn,
      pages: count,
    });
    pages([run(20, BUFFER_PAGES)]);
    // The same ones again are no more.
    pages([run(20, BUFFER_PAGES)]);
    expectRefused(() => pages([run(100, 1)]), 'E_PROTOCOL_BAD_BODY', /too many/);
  });

  test.each([
    ['of other pages', 1, 2, 1],
    ['of other frames', 1, 1, 2],
  ])('refuses a point %s', (_what, number, entries, batches) => {
    pages([page(PRESENT, 1)]);
    state();
    expectRefused(() => point(number, entries, batches), 'E_PROTOCOL_BAD_BODY', /add up/);
  });

  test('refuses a point without a state, and one whose number was before', async () => {
    expectRefused(() => point(1, 0, 0), 'E_PROTOCOL_BAD_BODY', /no machine state/);
    state();
    point(3, 0, 0);
    await journal.settled;
    state();
    expect(() => point(3, 0, 0)).toThrow(/add up/);
  });

  test('changes nothing when the machine does not take the state', async () => {
    pages([page(PRESENT, 1)]);
    state({ sections: [{ name: 'of another machine', version: 1, bytes: new Uint8Array() }] });
    point(1, 1, 1);
    await journal.settled;
    expect(refused).toMatchObject({ code: 'E_MACHINE_STATE' });
    expect(isUntouched()).toBe(true);
    expect(journal.info(0)).toMatchObject({ points: 0 });
  });

  test('drops what came on a connection that was lost', async () => {
    pages([page(PRESENT, 1)]);
    state();
    journal.linked({ acknowledge: (body) => acknowledged.push(body), refuse: () => {} });
    expectRefused(() => point(1, 1, 1), 'E_PROTOCOL_BAD_BODY', /no machine state/);
    pages([page(6, 2)]);
    state();
    point(2, 1, 1);
    await journal.settled;
    expect(ram()[0]?.[PRESENT * PAGE_BYTES]).toBe(before[0]?.[PRESENT * PAGE_BYTES]);
    expect(ram()[0]?.[6 * PAGE_BYTES]).toBe(2);
  });
});
