// A link of a given rate between two agents, as a process of its own, for machines on which the kernel may not shape:
//   node shaped-link.mjs TARGET_PORT BYTES_PER_SECOND
// prints the port on which it listens. All connections share the rate, as they would share a cable; within it each has
// its own queue and they take turns, so that a page on a second connection does not stand behind the first one's bytes.
// Node cannot make the kernel's socket buffers small: on loopback they hold a few MiB, which is what a deep queue at a
// slow link is like. Therefore it is the engine's window that keeps the queue short, as it must be on a real one.
import net from 'node:net';

const [target, rate] = process.argv.slice(2).map(Number);
const bytesPerMs = rate / 1000;
const TURN_BYTES = 16 * 1024;
/** What may go at once after a late wake-up. */
const DEPTH_MS = 2;
const PAUSE_MS = 0.1;

const pipes = new Set();
let level = 0;
let filledMs = performance.now();
let turn;
/** Nobody ever notifies it. */
const nothing = new Int32Array(new SharedArrayBuffer(4));

function fill() {
  const nowMs = performance.now();
  level = Math.min(DEPTH_MS * bytesPerMs, level + (nowMs - filledMs) * bytesPerMs);
  filledMs = nowMs;
}

/** Moves what the rate allows, each pipe in its turn; looks again when something can move. */
function drain() {
  turn = undefined;
  fill();
  let moved = true;
  while (level > 0 && moved) {
    moved = false;
    for (const pipe of [...pipes]) {
      if (level <= 0) break;
      // Whoever had its turn is last the next time, also when the rate ends this round here.
      pipes.delete(pipe);
      pipes.add(pipe);
      const chunk = pipe.from.read(Math.min(TURN_BYTES, pipe.from.readableLength)) ?? undefined;
      if (chunk === undefined) continue;
      level -= chunk.length;
      moved = true;
      pipe.to.write(chunk);
    }
  }
  if (level > 0) return;
  // Timers of Node wait for a millisecond at least; this is short enough for what comes back.
  Atomics.wait(nothing, 0, 0, Math.min(-level / bytesPerMs, PAUSE_MS));
  wake();
}

function wake() {
  if (turn !== undefined) return;
  turn = setImmediate(drain);
}

function shape(from, to) {
  const pipe = { from, to };
  pipes.add(pipe);
  from.on('readable', wake);
  from.on('end', () => {
    pipes.delete(pipe);
    to.end();
  });
}

const server = net.createServer({ noDelay: true, allowHalfOpen: true, highWaterMark: TURN_BYTES });
server.on('connection', (client) => {
  const options = { port: target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true };
  const agent = net.connect(options);
  for (const [one, other] of [
    [client, agent],
    [agent, client],
  ]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
  shape(client, agent);
  // Answers are small: the way back is not what is measured.
  agent.pipe(client);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('end', () => process.exit(0)).resume();
