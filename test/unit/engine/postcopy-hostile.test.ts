import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/base/index.ts';
import {
  decodeError,
  encodeAttached,
  encodeJoin,
  encodePageBatch,
  encodePageMap,
  encodePageRequest,
  encodeRecovery,
  type JoinBody,
  MESSAGE_TYPES,
  messageName,
  migrationIdOf,
  type PageName,
} from '../../../src/protocol/index.ts';
import { PAIR_SECRET } from '../../support/engine-pair.ts';
import { FAKE_BLOCKS, FAKE_DESCRIPTION, ramDifferences } from '../../support/fake-machine.ts';
import { type PostcopyOptions, type PostcopyPair, postcopy } from '../../support/postcopy-pair.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

/** Does something behind the first frame of that name, once. */
function behind(name: string, act: (pair: PostcopyPair) => void): PostcopyOptions {
  return {
    onFrame: (frame, pair) => {
      const isFirst = frame.name === name && frame.nth === 1 && frame.connection === 0;
      if (isFirst) void pair.clock.sleep(0.3).then(() => act(pair as PostcopyPair));
      return undefined;
    },
  };
}

const JOIN: JoinBody = {
  protocol: 1,
  software: 'stranger',
  role: 'recover',
  uuid: FAKE_DESCRIPTION.uuid,
  migrationId: migrationIdOf(PAIR_SECRET),
  epoch: 2,
  secret: PAIR_SECRET,
};

describe('OutgoingMigration drops a link over which it is asked for', () => {
  const many = (count: number): PageName[] =>
    Array.from({ length: count }, (_, index) => ({ block: 1, pfn: 64 + 5 * index }));
  test.each<[string, readonly PageName[], string]>([
    ['a page outside RAM', [{ block: 0, pfn: 1000 }], 'E_PROTOCOL_BAD_BODY'],
    ['a page of no block', [{ block: 3, pfn: 0 }], 'E_PROTOCOL_BAD_BODY'],
    ['a page that was never missing', [{ block: 0, pfn: 999 }], 'E_PAGE_REQUEST'],
    [
      'a page that was never missing behind one that was',
      [...many(1), { block: 0, pfn: 999 }],
      'E_PAGE_REQUEST',
    ],
  ])('%s, and the guest is unharmed', async (_, pages, code) => {
    const errors: (string | undefined)[] = [];
    const { pair, result } = await postcopy(
      behind('POSTCOPY_RESUMED', ({ destinationChannel, outgoing, clock }) => {
        const body = encodePageRequest({ pages });
        void destinationChannel.send(MESSAGE_TYPES.PAGE_REQUEST, body);
        void clock.sleep(1).then(() => errors.push(outgoing.info().postcopy?.pausedError?.code));
      }),
    );
    expect(errors).toEqual([code]);
    expect(result.source.status).toBe('completed');
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });

  test('pages time after time, and then waits to be told', async () => {
    const seen: string[] = [];
    const { pair, result } = await postcopy({
      onFrame: ({ name, connection }, pair) => {
        const asks = name === 'POSTCOPY_RESUMED' || name === 'RECOVERED';
        if (!asks || connection > 3) return undefined;
        // The destination's own end of whichever connection there is.
        if (connection === 0) {
          const body = encodePageRequest({ pages: [{ block: 0, pfn: 1000 }] });
          void pair.destinationChannel.send(MESSAGE_TYPES.PAGE_REQUEST, body);
        }
        return connection === 0 ? undefined : 'corrupt';
      },
      connect: (connection, { outgoing, clock }) => {
        if (connection !== 1) return;
        void clock.sleep(60_000).then(() => {
          seen.push(outgoing.info().status);
          outgoing.resume();
        });
      },
    });
    expect(seen).toEqual(['postcopy-paused']);
    expect(pair.connections).toBeGreaterThan(3);
    expect(result.source.status).toBe('completed');
  });

  test('a page that was sent already without a word: the request is late', async () => {
    const { pair, result } = await postcopy(
      behind('POSTCOPY_END', ({ destinationChannel }) => {
        const body = encodePageRequest({ pages: [{ block: 0, pfn: 5 }] });
        void destinationChannel.send(MESSAGE_TYPES.PAGE_REQUEST, body);
      }),
    );
    expect(result.source.status).toBe('completed');
    expect(pair.connections).toBe(1);
  });
});

describe('OutgoingMigration recovers from another answer than', () => {
  const last = (FAKE_BLOCKS[1]?.bytes ?? 0) / 4096;
  test.each<[string, number, number]>([
    ['a received map of another size', 0, 99],
    ['one that comes twice', 1, last],
    ['one of no block', 3, 1],
  ])('%s, and the guest is unharmed', async (_, block, pageCount) => {
    const errors: (string | undefined)[] = [];
    const { pair, result } = await postcopy({
      onFrame: ({ name, connection, nth }, { furtherThere, outgoing, clock }) => {
        const isPush = name === 'PAGE_BATCH' && connection === 0 && nth > 4;
        if (isPush) return 'cut';
        if (connection !== 1 || name !== 'RECOVERY') return undefined;
        const map = encodePageMap(new Uint8Array(Math.ceil(pageCount / 8)), pageCount);
        void furtherThere[0]?.send(MESSAGE_TYPES.RECEIVED_MAP, map, block);
        void clock.sleep(1).then(() => errors.push(outgoing.info().postcopy?.pausedError?.code));
        return undefined;
      },
    });
    expect(errors).toEqual(['E_PROTOCOL_BAD_BODY']);
    expect(result.source.status).toBe('completed');
    expect(pair.connections).toBe(3);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });
});

describe('OutgoingMigration takes no answer to the other role of JOIN', () => {
  test('ATTACHED where it asked who has the guest, and tries again', async () => {
    const errors: (string | undefined)[] = [];
    const { pair, result } = await postcopy({
      onFrame: ({ name, connection, nth }, { furtherThere, outgoing, clock }) => {
        if (name === 'PAGE_BATCH' && connection === 0 && nth > 4) return 'cut';
        if (connection !== 1) return undefined;
        // Behind it the destination says nothing more.
        if (name === 'RECOVERY') return 'stall';
        if (name !== 'JOIN') return undefined;
        void furtherThere[0]?.send(MESSAGE_TYPES.ATTACHED, encodeAttached());
        void clock.sleep(1).then(() => errors.push(outgoing.info().postcopy?.pausedError?.code));
        return undefined;
      },
    });
    expect(errors).toEqual(['E_PROTOCOL_UNEXPECTED_MESSAGE']);
    expect(result.source.status).toBe('completed');
    expect(pair.connections).toBe(3);
  });

  test('RECOVERY where it wanted a second connection: the guest stays', async () => {
    const { pair, result } = await postcopy({
      capabilities: { 'postcopy-preempt': true },
      onFrame: ({ name, connection }, { furtherThere }) => {
        if (connection !== 1) return undefined;
        if (name === 'ATTACHED') return 'stall';
        if (name !== 'JOIN') return undefined;
        const body = { outcome: 'owner', epoch: 2, continues: true, running: true } as const;
        void furtherThere[0]?.send(MESSAGE_TYPES.RECOVERY, encodeRecovery(body));
        return undefined;
      },
    });
    const error = { code: 'E_PROTOCOL_UNEXPECTED_MESSAGE', guestOwner: 'source' };
    expect(result.source).toMatchObject({ status: 'failed', error });
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });
});

describe('IncomingMigration in post-copy', () => {
  test('drops a page that comes again, however it looks', async () => {
    const payload = new Uint8Array(4096).fill(0x77);
    const hash = 0n;
    const { pair, result } = await postcopy(
      behind('POSTCOPY_RESUMED', ({ sourceChannel, arrived }) => {
        const pfn = Array.from({ length: 1000 }, (_, page) => page).find((page) =>
          arrived.block(0).isReceived(page),
        );
        const { body, checkedBytes } = encodePageBatch([
          { kind: 'RAW', pfn: pfn ?? 0, payload, hash },
        ]);
        const slot = new Uint8Array(32 + body.length + 32);
        slot.set(body, 32);
        void sourceChannel.sendSlot(slot, {
          type: MESSAGE_TYPES.PAGE_BATCH,
          block: 0,
          bodyBytes: body.length,
          checkedBytes,
          checkedCrc: crc32c(body.subarray(body.length - checkedBytes)),
        });
      }),
    );
    expect(result.source.status).toBe('completed');
    expect(result.destinationInfo.postcopy?.duplicatePages).toBe(1);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
  });

  test.each<[string, number, number]>([
    ['comes twice', 1, FAKE_BLOCKS[1]?.bytes ?? 0],
    ['is of another size', 2, 99 * 4096],
    ['is of no block', 3, 4096],
  ])('refuses a missing map that %s: the guest stays', async (_, block, bytes) => {
    const pageCount = bytes / 4096;
    const { pair, result } = await postcopy({
      // The maps are written in one go: one more before them is refused itself, or makes the real
      // one the second.
      onFrame: ({ name }, { sourceChannel }) => {
        if (name === 'HELLO') {
          const send = sourceChannel.send.bind(sourceChannel);
          sourceChannel.send = (type, body, index) => {
            const sent = send(type, body, index);
            if (messageName(type) === 'STOPPED') {
              const map = encodePageMap(new Uint8Array(Math.ceil(pageCount / 8)), pageCount);
              void send(MESSAGE_TYPES.MISSING_MAP, map, block);
            }
            return sent;
          };
        }
        return undefined;
      },
    });
    expect(result.source).toMatchObject({ status: 'failed', error: { guestOwner: 'source' } });
    expect(result.destination.error?.code).toBe('E_PROTOCOL_BAD_BODY');
    expect(pair.runningMachines()).toEqual([pair.machine]);
  });

  test.each<[string, Partial<JoinBody>]>([
    ['secret', { secret: 'f'.repeat(32) }],
    ['epoch', { epoch: 3 }],
    ['guest', { uuid: '00000000-0000-4000-8000-000000000009' }],
    ['secret for a second connection', { role: 'preempt', secret: 'f'.repeat(32) }],
    ['migration', { role: 'preempt', migrationId: 'migration-2' }],
  ])('tells nothing to a stranger with another %s, and changes nothing', async (_, changes) => {
    const sink = new RecordingSink();
    const { pair, result } = await postcopy(
      behind('POSTCOPY_RESUMED', (running) => {
        void running.connect().then((channel) => {
          channel.start(sink);
          return channel.send(MESSAGE_TYPES.JOIN, encodeJoin({ ...JOIN, ...changes }));
        });
      }),
    );
    expect(sink.frames.map(({ header }) => messageName(header.type))).toEqual(['ERROR']);
    const said = decodeError(sink.frames[0]?.body ?? new Uint8Array(0));
    expect(said.kind === 'ok' && said.body.guestOwner).toBe('unknown');
    expect(result.source.status).toBe('completed');
    expect(result.sourceInfo.postcopy?.recoveries).toBe(0);
    expect(ramDifferences(pair.machine.memory, pair.arrived.memory)).toEqual([]);
    expect((await pair.joined[0])?.error?.code).toBe('E_RECOVERY_REFUSED');
  });

  test.each<[string, Partial<JoinBody>, string]>([
    ['refuses who knows only its name', { secret: 'f'.repeat(32) }, 'ERROR'],
    ['believes who has the secret behind its name', {}, 'RECOVERY'],
  ])('after the end of a migration %s, who claims the guest', async (_, changes, said) => {
    const { pair } = await postcopy();
    expect(pair.runningMachines()).toEqual([pair.arrived]);
    const sink = new RecordingSink();
    const channel = await pair.connect();
    channel.start(sink);
    await channel.send(MESSAGE_TYPES.JOIN, encodeJoin({ ...JOIN, claimedEpoch: 9, ...changes }));
    await pair.clock.advance(100);
    expect(sink.frames.map(({ header }) => messageName(header.type))).toEqual([said]);
    expect(pair.runningMachines()).toEqual(said === 'ERROR' ? [pair.arrived] : []);
  });
});
