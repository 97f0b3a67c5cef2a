/**
 * TLS over accepted sockets, in place. The public ways to make a server's TLSSocket ignore
 * `onread`, and through `data` events a destination spends half as much again on each byte. So
 * the TLSSocket is made as a connecting one would be, around the handle of the accepted socket.
 *
 * This file and `adopt.ts` have all that leans on parts of Node that are not documented. What is
 * missing in another Node either falls back to `data` events, or refuses the peer.
 */
import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { ReadMode } from '../adopt.ts';
import { feed, type ReadTarget } from '../frame-reader.ts';

interface RawHandle {
  close?: (done: () => void) => void;
  readonly reset?: (done: () => void) => void;
}

interface TlsHandle {
  readonly _parent?: RawHandle | null;
  readonly verifyError?: () => Error | null | undefined;
}

interface WithTlsHandle {
  _handle?: TlsHandle | null;
  connecting: boolean;
}

interface Donor {
  _handle?: unknown;
}

type WrapHandle = (wrap: unknown, handle: unknown, ...rest: readonly unknown[]) => unknown;

/** The TLS end of an accepted connection, already in its handshake, that reads into `target`. */
export function tlsOverAccepted(
  accepted: Socket,
  options: TLSSocketOptions,
  target: ReadTarget,
  mode: ReadMode,
): TLSSocket {
  const fits = typeof (TLSSocket.prototype as { _wrapHandle?: unknown })._wrapHandle === 'function';
  if (mode === 'in-place' && fits) return aroundHandle(accepted, options, target);
  const socket = new TLSSocket(accepted, options);
  socket.on('data', (chunk: Buffer) => {
    if (!feed(target, chunk)) socket.pause();
  });
  return socket;
}

function aroundHandle(accepted: Socket, options: TLSSocketOptions, target: ReadTarget): TLSSocket {
  const donor = accepted as unknown as Donor;
  const handle = donor._handle;
  // The donor must forget the handle first, or its end would close the connection.
  donor._handle = null;
  accepted.destroy();
  const base = (TLSSocket.prototype as unknown as { _wrapHandle: WrapHandle })._wrapHandle;
  class AcceptedTlsSocket extends TLSSocket {
    /** Called by the constructor of TLSSocket, which would make a handle of its own. */
    _wrapHandle(wrap: unknown, _none: unknown, ...rest: readonly unknown[]): unknown {
      return base.call(this, wrap, handle, ...rest);
    }
  }
  const onread = {
    buffer: () => target.buffer(),
    callback: (byteCount: number) => target.callback(byteCount),
  };
  // Without a socket the constructor takes `onread`, as for tls.connect(), whose options have it.
  const socket = new AcceptedTlsSocket(
    undefined as unknown as Socket,
    {
      ...options,
      onread,
    } as TLSSocketOptions,
  );
  // And it waits for connect(); this one is connected.
  (socket as unknown as WithTlsHandle).connecting = false;
  return socket;
}

/**
 * What is wrong with the peer's certificate; undefined when nothing is. Where this Node cannot say,
 * it is an error: no peer is taken on trust.
 */
export function verifyErrorOf(socket: TLSSocket): Error | undefined {
  const handle = (socket as unknown as WithTlsHandle)._handle;
  if (typeof handle?.verifyError !== 'function') return new Error('Cannot be verified');
  return handle.verifyError() ?? undefined;
}

/**
 * Closes so that the peer sees an error and not a polite end. node:net has `resetAndDestroy` for
 * plain sockets only; here the handle below TLS resets when it would close.
 */
export function resetTls(socket: TLSSocket): void {
  const parent = (socket as unknown as WithTlsHandle)._handle?._parent;
  if (parent && typeof parent.reset === 'function') {
    const { reset } = parent;
    parent.close = (done) => reset.call(parent, done);
  }
  socket.destroy();
}
