import { afterAll, afterEach, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/base/index.ts';
import { FRAME_HEADER_BYTES } from '../../../src/protocol/index.ts';
import { CrossingKeeper, type ExpectedFailure, LOST } from './crossing.ts';
import type { CrossingFrame, Verdict } from './frame-link.ts';
import { withEveryGuest } from './test-guest.ts';

/**
 * The link breaks or damages what crosses it, at every stage before GRANT. The guest goes on where
 * it was.
 */

interface Fault extends ExpectedFailure {
  readonly name: string;
  readonly judge: (frame: CrossingFrame) => Verdict;
}

/** The frame with one bit of a byte flipped. */
function flipped({ bytes }: CrossingFrame, at: number): Uint8Array {
  const damaged = Uint8Array.from(bytes);
  damaged[at] = (damaged[at] ?? 0) ^ 0x10;
  return damaged;
}

const isBatch = (frame: CrossingFrame, count: number) =>
  frame.name === 'PAGE_BATCH' && frame.count === count;

/** A batch that carries payload; the first ones hold zero runs only. */
const firstPayload = () => {
  let found = false;
  return ({ name, header }: CrossingFrame) => {
    if (found || name !== 'PAGE_BATCH' || header.bodyBytes === header.checkedBytes) return false;
    found = true;
    return true;
  };
};

/** As `firstPayload`, once the guest stands still. */
const payloadOfThePause = () => {
  const isFirst = firstPayload();
  let stopped = false;
  return (frame: CrossingFrame) => {
    stopped ||= frame.name === 'STOPPED';
    return stopped && isFirst(frame);
  };
};

function damage(
  name: string,
  code: ErrorCode,
  when: (frame: CrossingFrame) => boolean,
  how: (frame: CrossingFrame) => Verdict,
): Fault {
  const judge = (frame: CrossingFrame) =>
    frame.from === 'source' && when(frame) ? how(frame) : 'pass';
  return { name, source: [code], destination: [code], judge };
}

function cut(name: string, message: string, verdict: Verdict = 'cut', count = 1): Fault {
  return {
    name,
    source: LOST,
    destination: LOST,
    judge: (frame) =>
      `${frame.from} ${frame.name}` === message && frame.count === count ? verdict : 'pass',
  };
}

const tableAt = ({ header }: CrossingFrame) =>
  FRAME_HEADER_BYTES + header.bodyBytes - header.checkedBytes;

const FAULTS: readonly Fault[] = [
  cut('HELLO is lost with the link', 'source HELLO'),
  cut('HELLO_ACK is lost with the link', 'destination HELLO_ACK'),
  cut('the link breaks in pass 1', 'source PAGE_BATCH', 'cut', 5),
  cut('the link breaks when the guest has stopped', 'source STOPPED'),
  cut('the link breaks before the machine state', 'source MACHINE_STATE'),
  cut('SWITCHOVER is lost with the link', 'source SWITCHOVER'),
  cut('SWITCHOVER_ACK is lost with the link', 'destination SWITCHOVER_ACK'),
  damage(
    'a header is damaged in pass 1',
    'E_PROTOCOL_BAD_HEADER',
    (frame) => isBatch(frame, 4),
    (frame) => flipped(frame, 20),
  ),
  damage('a page is damaged in pass 1', 'E_PAGE_HASH', firstPayload(), (frame) =>
    flipped(frame, FRAME_HEADER_BYTES + 1234),
  ),
  damage('a page table is damaged in pass 1', 'E_PROTOCOL_CHECKSUM', firstPayload(), (frame) =>
    flipped(frame, tableAt(frame) + 1),
  ),
  damage(
    'a frame is lost',
    'E_PROTOCOL_SEQUENCE',
    (frame) => isBatch(frame, 4),
    () => new Uint8Array(0),
  ),
  damage(
    'a frame is repeated',
    'E_PROTOCOL_SEQUENCE',
    (frame) => isBatch(frame, 4),
    ({ bytes }) => Buffer.concat([bytes, bytes]),
  ),
  damage('a page is damaged in the pause', 'E_PAGE_HASH', payloadOfThePause(), (frame) =>
    flipped(frame, FRAME_HEADER_BYTES + 5),
  ),
  damage(
    'the machine state is damaged',
    'E_PROTOCOL_CHECKSUM',
    ({ name }) => name === 'MACHINE_STATE',
    (frame) => flipped(frame, FRAME_HEADER_BYTES + 40),
  ),
  {
    name: 'an answer is damaged',
    source: ['E_PROTOCOL_CHECKSUM'],
    destination: ['E_PROTOCOL_CHECKSUM'],
    judge: (frame) =>
      frame.name === 'PROGRESS' && frame.count === 1 ? flipped(frame, FRAME_HEADER_BYTES) : 'pass',
  },
  {
    name: 'SWITCHOVER_ACK is damaged',
    source: ['E_PROTOCOL_CHECKSUM'],
    destination: ['E_PROTOCOL_CHECKSUM'],
    judge: (frame) =>
      frame.name === 'SWITCHOVER_ACK' ? flipped(frame, FRAME_HEADER_BYTES) : 'pass',
  },
];

withEveryGuest('a migration over a link that fails', (guest) => {
  const keeper = new CrossingKeeper(guest);

  afterEach(({ task }) => keeper.afterEach(task.result?.state));
  afterAll(() => keeper.end());

  it.each(FAULTS)('migrate() leaves the guest at the source when $name', async (fault) => {
    const crossing = await keeper.get();
    const link = await crossing.stage.link(await crossing.uri(), fault.judge);
    await crossing.fails(fault, link.uri);
    await crossing.succeeds();
  });

  it.each([
    ['within HELLO, by a reset', 20, 'reset', LOST],
    ['within HELLO, politely', 50, 'end', ['E_PROTOCOL_TRUNCATED']],
    ['within a frame of pass 1, by a reset', 1_234_567, 'reset', LOST],
    ['within a frame of pass 1, politely', 1_234_567, 'end', ['E_PROTOCOL_TRUNCATED']],
  ] as const)(
    'migrate() leaves the guest at the source when the stream is cut %s',
    async (_where, cutAfterBytes, cutWith, destination) => {
      const crossing = await keeper.get();
      const { uri } = await crossing.stage.proxy(await crossing.uri(), {
        toTarget: { cutAfterBytes, cutWith },
      });
      await crossing.fails({ source: LOST, destination }, uri);
      await crossing.succeeds();
    },
  );

  it.each([
    ['to the destination', 'toTarget'],
    ['to the source', 'toClient'],
  ] as const)(
    'migrate() names the version when it is refused on the way %s',
    async (_where, direction) => {
      const crossing = await keeper.get();
      // The fifth byte of a stream is the protocol's version.
      const { uri } = await crossing.stage.proxy(await crossing.uri(), {
        [direction]: { corruptAtByte: 4 },
      });
      const code = 'E_PROTOCOL_VERSION' as const;
      const reply = await crossing.fails({ source: [code], destination: [code] }, uri);
      expect(reply['x-sterna'].error).toMatchObject({ detail: { version: 17, supported: 1 } });
      await crossing.succeeds();
    },
  );

  it('migrate() gives up when the link stalls in pass 1, within x-stall-timeout', async () => {
    const crossing = await keeper.get();
    await crossing.here.set({ 'x-stall-timeout': 600 });
    const { uri } = await crossing.stage.proxy(await crossing.uri(), {
      toTarget: { stallAfterBytes: 2 ** 20 },
    });
    const code = 'E_CHANNEL_TIMEOUT' as const;
    const reply = await crossing.fails({ source: [code], destination: [code, ...LOST] }, uri);
    expect(reply['x-sterna'].error?.message).toContain('fell silent');
    await crossing.here.set({ 'x-stall-timeout': 10_000 });
    await crossing.succeeds();
  });

  it('migrate() gives up when the link stalls in the pause, and the guest goes on', async () => {
    const crossing = await keeper.get();
    await crossing.here.set({ 'x-stall-timeout': 600 });
    const link = await crossing.stage.link(await crossing.uri(), ({ name }) =>
      name === 'MACHINE_STATE' ? 'hold' : 'pass',
    );
    const code = 'E_CHANNEL_TIMEOUT' as const;
    const reply = await crossing.fails({ source: [code], destination: [code, ...LOST] }, link.uri);
    expect(reply['x-sterna'].error?.phase).toBe('device');
    await crossing.here.set({ 'x-stall-timeout': 10_000 });
    await crossing.succeeds();
  });
});
