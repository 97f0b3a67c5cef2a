import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { type Clock, type Logger, SternaError } from '../../base/index.ts';
import { encodeError, errorBodyFrom, MESSAGE_TYPES } from '../../protocol/index.ts';
import { preferredReadMode, type ReadMode } from '../adopt.ts';
import type { Channel } from '../channel.ts';
import { channelError } from '../channel-error.ts';
import { FrameChannel } from '../frame-channel.ts';
import { nameOf, tooEarly } from '../tcp-channel.ts';
import { TcpTransport } from '../tcp-transport.ts';
import { HeldReads } from './held-reads.ts';
import { checkPeer } from './peer-check.ts';
import { isTlsFailure, tlsError } from './tls-error.ts';
import { tlsOverAccepted } from './tls-handle.ts';
import { acceptOptions, contextOptions, type Protection } from './tls-options.ts';

/** A handshake takes two trips; a stranger's place is free again after this. */
const HANDSHAKE_LIMIT_MS = 5_000;

export interface TlsAcceptorOptions {
  readonly security: Protection;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readMode: ReadMode | undefined;
}

/** What becomes of one accepted connection. Exactly one of the first two, then the third. */
export interface Handshake {
  /** The peer has proved who it is, and may be here. The channel is not started. */
  readonly secured: (channel: Channel) => void;
  /** It has not; it was told why where that was possible, and is on its way out. */
  readonly refused: () => void;
  /** The connection is over and its resources are free. */
  readonly closed: () => void;
}

/** Makes channels of accepted connections whose peers prove who they are. */
export class TlsAcceptor {
  private readonly options: TlsAcceptorOptions;
  private readonly context: SecureContext;

  constructor(options: TlsAcceptorOptions) {
    this.options = options;
    // Without tickets, and without a cache of sessions, each connection shows its certificate: one
    // that was revoked or has expired meanwhile resumes nothing.
    const secureOptions = constants.SSL_OP_NO_TICKET;
    this.context = createSecureContext({ ...contextOptions(options.security), secureOptions });
  }

  /** Begins the handshake. The function that it returns ends it: somebody else needs the place. */
  accept(accepted: Socket, handshake: Handshake): () => void {
    const { security, clock, readMode } = this.options;
    const name = nameOf(accepted);
    const mode = readMode ?? preferredReadMode(accepted);
    const over = new AbortController();
    const channel = new FrameChannel(name, clock, (events) => {
      let claimed: string | undefined;
      const held = new HeldReads(events, () => socket.destroy(tooEarly(name)));
      const asked = acceptOptions(security, (identity) => {
        claimed = identity;
      });
      const socket = tlsOverAccepted(
        accepted,
        { ...asked, secureContext: this.context },
        held,
        mode,
      );
      const failed = (error: Error) => {
        if (over.signal.aborted) return;
        over.abort();
        this.note(isTlsFailure(error) ? tlsError(name, error) : channelError(name, error), name);
        handshake.refused();
      };
      socket.once('error', failed);
      socket.once('close', () => {
        failed(new SternaError('E_CHANNEL_RESET', 'Peer left in the handshake'));
        handshake.closed();
      });
      socket.once('secure', () => {
        if (over.signal.aborted) return;
        over.abort();
        this.decide(channel, socket, claimed, handshake);
      });
      return new TcpTransport(name, socket, clock, events, held);
    });
    void clock.sleep(HANDSHAKE_LIMIT_MS, over.signal).then(() => {
      if (!over.signal.aborted) channel.destroy(tooSlow(name));
    });
    return () => channel.destroy(tooSlow(name));
  }

  private decide(
    channel: Channel,
    socket: TLSSocket,
    claimed: string | undefined,
    handshake: Handshake,
  ): void {
    const { name } = channel;
    const peer = checkPeer(this.options.security, { name, socket, claimed });
    if (!(peer instanceof SternaError)) {
      this.options.log.info({ event: 'channel.secured', peer: name, identity: peer });
      handshake.secured(channel);
      return;
    }
    peer.side = 'destination';
    peer.guestOwner = 'source';
    this.note(peer, name);
    handshake.refused();
    // The wire is encrypted, and this side has proved who it is: the peer can be told.
    channel.send(MESSAGE_TYPES.ERROR, encodeError(errorBodyFrom(peer))).catch(() => {});
    void channel.end().then(() => channel.destroy(peer));
  }

  private note({ code, message, detail }: SternaError, peer: string): void {
    this.options.log.warn({ event: 'channel.refused', peer, code, error: message, detail });
  }
}

function tooSlow(name: string): SternaError {
  return new SternaError('E_CHANNEL_TIMEOUT', `Handshake of ${name} took too long`, {
    detail: { limitMs: HANDSHAKE_LIMIT_MS },
  });
}
