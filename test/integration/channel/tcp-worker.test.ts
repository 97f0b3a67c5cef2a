import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { artifactUrl } from '../../../src/base/index.ts';
import { connectTcp, parseTcpAddress } from '../../../src/channel/index.ts';
import { FRAME_HEADER_BYTES, MESSAGE_TYPES } from '../../../src/protocol/index.ts';
import { patternBytes, sharedSlot, slotFrame } from '../../support/channel-compliance.ts';
import { clock } from '../../support/channel-harness.ts';
import { RecordingSink } from '../../support/recording-sink.ts';

const MIB = 2 ** 20;
const COUNT = 8;
const { HELLO, PAGE_BATCH } = MESSAGE_TYPES;

/** Listens, reads each body into its own slot in shared memory, and sends it back from there. */
const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  (async () => {
    const { systemClock, silentLogger } = await import(workerData.baseUrl);
    const { TcpListener } = await import(workerData.channelUrl);
    const slotBytes = workerData.slotBytes;
    const listener = await TcpListener.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, {
      clock: systemClock(), log: silentLogger(), connectionCountMax: 1,
      onConnection: (channel) => {
        const { memory } = workerData;
        const slot = (sequence) => new Uint8Array(memory, sequence * slotBytes, slotBytes);
        channel.start({
          place: ({ sequence }) => slot(sequence).subarray(32),
          frame: ({ type, block, bodyBytes, sequence }) => void channel.sendSlot(
            slot(sequence), { type, block, bodyBytes, checkedBytes: 0, checkedCrc: 0 }),
          closed: (error) => {
            listener.close();
            parentPort.postMessage({ closed: error?.code ?? 'cleanly' });
          },
        });
      },
    });
    parentPort.postMessage({ port: listener.address.port });
  })();
`;

test('TcpListener echoes frames of shared memory when it runs in a worker', async () => {
  const slotBytes = MIB + 2 * FRAME_HEADER_BYTES;
  const memory = new SharedArrayBuffer(COUNT * slotBytes);
  const here = new URL('../../../src/channel/index.ts', import.meta.url).href;
  const workerData = {
    memory,
    slotBytes,
    baseUrl: artifactUrl('../base/index.js', here).href,
    channelUrl: artifactUrl('./index.js', here).href,
  };
  const worker = new Worker(WORKER, { eval: true, workerData });
  onTestFinished(async () => void (await worker.terminate()));
  const [{ port }] = (await once(worker, 'message')) as [{ port: number }];

  const channel = await connectTcp(parseTcpAddress(`tcp:127.0.0.1:${port}`), {
    clock,
    timeoutMs: 5000,
  });
  const sink = new RecordingSink();
  channel.start(sink);
  const slots = Array.from({ length: COUNT }, (_, index) => {
    const slot = sharedSlot(MIB);
    slot.set(patternBytes(index, MIB), FRAME_HEADER_BYTES);
    return slot;
  });
  await Promise.all(slots.map((slot, index) => channel.sendSlot(slot, slotFrame(MIB, index))));
  await sink.untilFrames(COUNT);

  for (const [index, { header, body }] of sink.frames.entries()) {
    expect([header.type, header.block]).toEqual([PAGE_BATCH, index]);
    expect(Buffer.compare(body, patternBytes(index, MIB))).toBe(0);
    // The worker read it straight into the memory that both threads share.
    const shared = Buffer.from(memory, index * slotBytes + FRAME_HEADER_BYTES, MIB);
    expect(Buffer.compare(shared, patternBytes(index, MIB))).toBe(0);
  }
  const closed = once(worker, 'message');
  await channel.end();
  expect(await closed).toEqual([{ closed: 'cleanly' }]);
  await expect(channel.send(HELLO, new Uint8Array(1))).rejects.toMatchObject({
    code: 'E_CHANNEL_RESET',
  });
});
