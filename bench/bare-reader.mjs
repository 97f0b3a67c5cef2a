// The reading half of the bare pair: nothing but `onread` into one buffer, then one byte back.
import net from 'node:net';

const [port, totalBytes] = process.argv.slice(2).map(Number);
let received = 0;
const socket = net.connect({
  port,
  host: '127.0.0.1',
  onread: {
    buffer: Buffer.alloc(2 ** 20),
    callback(count) {
      received += count;
      if (received >= totalBytes) socket.end('x');
      return true;
    },
  },
});
