import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/index.ts';
import { compressBody, GuestMemory } from '../../guestmem/index.ts';
import type { CodecWorkerData, CodecWorkerReply, CodecWorkerRequest } from './codec-pool.ts';

/** A helper of the codec: compresses bodies of frames in the guest's memory, one at a time. */
const port = parentPort;
assert(port !== null, 'The helper of the codec runs as a worker');
// CodecPool is the only one who starts it.
const { handles, lane } = workerData as CodecWorkerData;
const memory = GuestMemory.attach(handles);

port.on('message', ({ block, request }: CodecWorkerRequest) => {
  const ramBlock = memory.blocks[block];
  assert(ramBlock !== undefined, 'The block is one of the guest');
  const startMs = performance.now();
  const made = compressBody(ramBlock, lane, request);
  port.postMessage({ made, ms: performance.now() - startMs } satisfies CodecWorkerReply);
});
port.postMessage('ready');
