// What two bare Node processes move over one loopback connection: 1 MiB writes from a small shared ring, `onread` on the
// reader. Every stream figure is a ratio to this, taken in the same run.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

const CHUNK = 2 ** 20;
const RING = 16 * CHUNK;
const reader = fileURLToPath(new URL('bare-reader.mjs', import.meta.url));

/** Bytes per second. */
export function measureBarePair(totalBytes = 3 * 2 ** 30) {
  const ring = Buffer.from(new SharedArrayBuffer(RING)).fill(0x5a);
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      const startMs = performance.now();
      let sent = 0;
      socket.on('data', () => {
        server.close();
        resolve((totalBytes * 1000) / (performance.now() - startMs));
      });
      socket.on('error', reject);
      const pump = () => {
        while (sent < totalBytes) {
          const at = sent % RING;
          sent += CHUNK;
          if (!socket.write(ring.subarray(at, at + CHUNK))) return socket.once('drain', pump);
        }
      };
      pump();
    });
    server.listen(0, '127.0.0.1', () => {
      const child = spawn(
        process.execPath,
        [reader, String(server.address().port), String(totalBytes)],
        { stdio: 'inherit' },
      );
      child.on('error', reject);
    });
  });
}
