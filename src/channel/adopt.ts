/**
 * Reading in place from accepted sockets. `onread`, which reads straight into memory of ours, is an
 * option of connecting sockets only; through `data` events the page stream is 2.5 to 3 times
 * slower. So the handle of an accepted socket moves to a second net.Socket that is made with
 * `onread`.
 *
 * That leans on parts of node:net that are not documented. All of it is in this file, checked
 * before use, and without it everything works through `data` events.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { feed, type ReadTarget } from './frame-reader.ts';

interface Handle {
  readonly useUserBuffer?: unknown;
  readonly readStart?: unknown;
  readonly readStop?: unknown;
}

interface WithHandle {
  _handle?: Handle | null;
}

/** How an accepted socket is read. */
export type ReadMode = 'in-place' | 'data-events';

/** A socket for the accepted connection, paused, that will read into `target` after `resume()`. */
export function adoptAccepted(
  accepted: Socket,
  target: ReadTarget,
  mode: ReadMode = preferredReadMode(accepted),
): Socket {
  return mode === 'in-place' ? moveHandle(accepted, target) : readByEvents(accepted, target);
}

/** `in-place` when the accepted socket has the parts that the move needs. */
export function preferredReadMode(accepted: Socket): ReadMode {
  // The field is private in the types of node:net; nothing is assumed of it but what is tested
  // here.
  const handle = (accepted as unknown as WithHandle)._handle;
  const fits =
    typeof handle === 'object' &&
    handle !== null &&
    typeof handle.useUserBuffer === 'function' &&
    typeof handle.readStart === 'function' &&
    typeof handle.readStop === 'function';
  return fits ? 'in-place' : 'data-events';
}

function moveHandle(accepted: Socket, target: ReadTarget): Socket {
  // preferredReadMode() has looked at the field that this cast opens.
  const donor = accepted as unknown as WithHandle;
  const handle = donor._handle;
  // The donor must forget the handle first, or its end would close the connection.
  donor._handle = null;
  accepted.destroy();
  let asked = false;
  const options = {
    handle,
    readable: true,
    writable: true,
    onread: {
      buffer: () => {
        asked = true;
        return target.buffer();
      },
      callback: (byteCount: number) => target.callback(byteCount),
    },
  };
  // `handle` is the undocumented option; `onread` with a function is documented for connect().
  const socket = new Socket(options as unknown as SocketConstructorOpts);
  socket.pause();
  // A Node that ignores `onread` here has not asked for a buffer; then the bytes will come as
  // events.
  return asked ? socket : readByEvents(socket, target);
}

function readByEvents(socket: Socket, target: ReadTarget): Socket {
  socket.on('data', (chunk: Buffer) => {
    if (!feed(target, chunk)) socket.pause();
  });
  // A `data` listener makes a socket flow unless it was paused before.
  return socket.pause();
}
