// The floor under every fault: a thread stops, its process asks a peer for 4 KiB over loopback, and the thread goes on.
// Two bare Node processes; what the engine adds is what the figures above it say.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { summary } from '../../dist/experiments/measuring/index.js';

const PAGE = 4096;
const WARM_UP = 200;

/** Resolves to a summary of the times in microseconds. */
export async function measureBareTrip(count) {
  const file = fileURLToPath(import.meta.url);
  const peer = spawn(process.execPath, [file, 'peer'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = await new Promise((resolve) => peer.stdout.once('data', (text) => resolve(+text)));
  const words = new Int32Array(new SharedArrayBuffer(8));
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const worker = new Worker(file, { workerData: { words, count: count + WARM_UP } });
  let haveBytes = 0;
  socket.on('data', (chunk) => {
    haveBytes += chunk.length;
    if (haveBytes < PAGE) return;
    haveBytes = 0;
    // Pairs with the wait in the worker.
    Atomics.store(words, 1, Atomics.load(words, 0));
    Atomics.notify(words, 1);
  });
  let isOver = false;
  const follow = async () => {
    for (let seen = 0; !isOver; seen += 1) {
      // Pairs with the add in the worker.
      const wait = Atomics.waitAsync(words, 0, seen);
      if (wait.async) await wait.value;
      socket.write(Buffer.alloc(64));
    }
  };
  void follow();
  const times = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  isOver = true;
  socket.destroy();
  peer.stdin.end();
  return summary(times.slice(WARM_UP), 0);
}

async function beThread({ words, count }) {
  const { parentPort } = await import('node:worker_threads');
  const times = [];
  for (let number = 1; number <= count; number += 1) {
    const startMs = performance.now();
    // Pairs with the waitAsync and the store in measureBareTrip().
    Atomics.add(words, 0, 1);
    Atomics.notify(words, 0);
    Atomics.wait(words, 1, number - 1);
    times.push((performance.now() - startMs) * 1000);
  }
  parentPort.postMessage(times);
}

function bePeer() {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => socket.write(Buffer.alloc(PAGE)));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
  process.stdin.on('end', () => process.exit(0)).resume();
}

if (!isMainThread && workerData?.words !== undefined) await beThread(workerData);
else if (process.argv[2] === 'peer') bePeer();
