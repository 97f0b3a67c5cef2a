import { expect, test } from 'vitest';
import {
  encodePassBegin,
  encodePing,
  encodeVerifyHashes,
  type MessageName,
} from '../../../src/protocol/index.ts';
import { AlmostHonestDestination } from './support/almost-honest-destination.ts';
import { blockFrame, controlFrame, nameOf } from './support/frames.ts';
import { honestConversation } from './support/honest-conversation.ts';
import { IncomingTarget } from './support/incoming-target.ts';
import { OutgoingTarget } from './support/outgoing-target.ts';

const FLOOD_FRAMES = 3000;
const PING = controlFrame('PING', encodePing({ id: 1, timeMs: 1 }));
const PASS_BEGIN = controlFrame('PASS_BEGIN', encodePassBegin({ pass: 1, dirtyPages: 0 }));
/** A small buffer, so that what the transport would take does not hide what the engine keeps. */
const DEAF = { bufferBytes: 2048, deafFrom: 5 };

// The targets check, at the end, how many frames waited to go out.
test.each<[string, Uint8Array]>([
  ['PING', PING],
  ['PASS_BEGIN', PASS_BEGIN],
])(
  'IncomingMigration stays small when a source that does not read sends only %s',
  async (_, frame) => {
    const target = new IncomingTarget(DEAF);
    const { fromSource } = await honestConversation('precopy', 'off');
    for (const first of fromSource.slice(0, 6)) {
      target.peer.send(first);
      await target.clock.advance(5);
    }
    await flood(target, frame, (ms) => target.clock.advance(ms));
    expect((await target.finish(true)).status).toBe('failed');
  },
);

test('IncomingMigration stays small when a source that does not read sends only hashes', async () => {
  const target = new IncomingTarget({ bufferBytes: 2048, deafFrom: 9 });
  const { fromSource } = await honestConversation('stop', 'off');
  const untilAck = names(fromSource).indexOf('GRANT');
  for (const first of fromSource.slice(0, untilAck)) {
    target.peer.send(first);
    await target.clock.advance(5);
  }
  const body = encodeVerifyHashes({ firstPfn: 0, hashes: [0n] });
  const frame = blockFrame('VERIFY_HASHES', 0, body, body.length);
  await flood(target, frame, (ms) => target.clock.advance(ms));
  expect((await target.finish(true)).status).toBe('failed');
});

test('OutgoingMigration stays small when a destination that does not read sends only PING', async () => {
  const target = new OutgoingTarget({}, { bufferBytes: 2048, deafFrom: 6 });
  const honest = new AlmostHonestDestination(target, [], [PING], [PING]);
  void target.clock.sleep(20).then(() => flood(target, PING, (ms) => target.clock.sleep(ms)));
  const { status, error } = await target.run();
  expect(honest.answerCount).toBeGreaterThan(0);
  expect(status).toBe('failed');
  expect(error?.guestOwner).toBe('source');
});

async function flood(
  { peer }: IncomingTarget | OutgoingTarget,
  frame: Uint8Array,
  letPass: (ms: number) => Promise<void>,
): Promise<void> {
  for (let i = 0; i < FLOOD_FRAMES; i += 1) {
    peer.send(frame);
    if (i % 100 === 0) await letPass(1);
  }
}

function names(frames: readonly Uint8Array[]): (MessageName | undefined)[] {
  return frames.map(nameOf);
}
