import { expect, test } from 'vitest';
import { SimClock, SternaError } from '../../../src/base/index.ts';
import { memoryChannelPair } from '../../../src/channel/index.ts';
import {
  encodeError,
  encodeHello,
  encodePassBegin,
  errorBodyFrom,
  type HelloBody,
  MESSAGE_TYPES,
} from '../../../src/protocol/index.ts';
import { Interrupt } from '../../../src/source/interrupt.ts';
import { LinkMeter } from '../../../src/source/link-meter.ts';
import { Peer } from '../../../src/source/peer.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const HELLO: HelloBody = {
  ...{ protocol: 1, software: 'test', role: 'main', migrationId: 'm', guest: { epoch: 1 } },
  ...{ pageBytes: 4096, capabilities: [], parameters: {}, duplex: true },
  machine: {
    ...{ type: 'workload', version: 1, name: 'm', uuid: '0f0e0d0c-0000-4000-8000-0000000000aa' },
    ...{ vcpuCount: 1, ramBlocks: [{ name: 'ram0', bytes: 2 ** 20 }], config: {} },
  },
};

test('send() says why the peer failed, and not that it gets nothing more', async () => {
  const clock = new SimClock();
  const { a, b } = memoryChannelPair({ clock });
  const interrupt = new Interrupt(clock);
  const peer = new Peer(a, clock, interrupt, new LinkMeter());
  a.start(peer);
  b.start(new RecordingSink());
  await clock.runUntil(peer.send('HELLO', encodeHello(HELLO)), 1000);
  const refused = new SternaError('E_BUSY', 'Destination is busy');
  void b.send(MESSAGE_TYPES.ERROR, encodeError(errorBodyFrom(refused)));
  await clock.advance(10);
  expect(peer.state).toBe('failed');
  // An engine that was at other work does not know of it yet.
  const sent = peer.send('PASS_BEGIN', encodePassBegin({ pass: 1, dirtyPages: 1 }));
  await expect(sent).rejects.toMatchObject({ code: 'E_BUSY', message: 'Destination is busy' });
});
