import {
  crc32c,
  HELLO_BYTES_MAX,
  MACHINE_STATE_BYTES_MAX,
  PAGE_BYTES,
  SternaError,
} from '../../base/index.ts';
import type { MachineDescription } from '../../guestmem/index.ts';
import { decodeHello, encodeHello, PROTOCOL_VERSION } from '../../protocol/index.ts';
import { halfImageError } from './half-image-error.ts';

/** What a half image says of itself; `docs/half-image.md` has the octets. */
export interface HalfHead {
  readonly side: 'source' | 'destination';
  readonly migrationId: string;
  /** The epoch that was handed over. */
  readonly epoch: number;
  readonly machine: MachineDescription;
  /** A source's: what it shows to the destination. */
  readonly secret?: string;
  /** A source's: how it reaches the destination. Empty in a destination's. */
  readonly peer: string;
  /** Of the machine state behind the pages; 0 when there is none. */
  readonly stateBytes: number;
  /** Since 1970. For people. */
  readonly timeMs: number;
}

/** All of it, zeros behind. */
export const HALF_HEAD_BYTES = 32 * 2 ** 10;
const PREFIX_BYTES = 64;
const MAGIC = 0x464c4853;
const VERSION = 1;
const PEER_BYTES_MAX = 1024;
const SIDES = ['source', 'destination'] as const;
const SOFTWARE = 'sterna';

/** Throws E_CONFIG_INVALID for an address that is longer than any. */
export function encodeHalfHead(head: HalfHead): Buffer {
  const hello = encodeHello({
    protocol: PROTOCOL_VERSION,
    software: SOFTWARE,
    role: 'main',
    migrationId: head.migrationId,
    guest: { epoch: head.epoch - 1 },
    pageBytes: PAGE_BYTES,
    machine: head.machine,
    capabilities: [],
    parameters: {},
    duplex: true,
    ...(head.secret === undefined ? {} : { secret: head.secret }),
  });
  const peer = Buffer.from(head.peer, 'utf8');
  if (peer.length > PEER_BYTES_MAX) {
    throw new SternaError('E_CONFIG_INVALID', 'Address of the peer is too long for a half image');
  }
  const bytes = Buffer.alloc(HALF_HEAD_BYTES);
  bytes.set(hello, PREFIX_BYTES);
  bytes.set(peer, PREFIX_BYTES + hello.length);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt8(VERSION, 4);
  bytes.writeUInt8(SIDES.indexOf(head.side) + 1, 5);
  bytes.writeUInt32LE(hello.length, 8);
  bytes.writeUInt32LE(peer.length, 12);
  bytes.writeUInt32LE(head.stateBytes, 16);
  bytes.writeDoubleLE(head.timeMs, 24);
  bytes.writeUInt32LE(crc32c(bytes), 60);
  return bytes;
}

/** Throws E_HALF_IMAGE that says what is wrong with it. */
export function decodeHalfHead(bytes: Buffer): HalfHead {
  if (bytes.length !== HALF_HEAD_BYTES || bytes.readUInt32LE(0) !== MAGIC) {
    throw halfImageError('File is not a half image');
  }
  if (bytes.readUInt8(4) !== VERSION) {
    throw halfImageError('Half image is of another version', { version: bytes.readUInt8(4) });
  }
  const unsummed = Buffer.from(bytes);
  unsummed.fill(0, 60, PREFIX_BYTES);
  if (crc32c(unsummed) !== bytes.readUInt32LE(60)) throw damaged('checksum');
  const side = SIDES[bytes.readUInt8(5) - 1];
  const [helloBytes, peerBytes] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
  const stateBytes = bytes.readUInt32LE(16);
  if (side === undefined || bytes.readUInt16LE(6) !== 0) throw damaged('side');
  if (helloBytes > HELLO_BYTES_MAX || peerBytes > PEER_BYTES_MAX) throw damaged('length');
  if (stateBytes > MACHINE_STATE_BYTES_MAX) throw damaged('length');
  const peerAt = PREFIX_BYTES + helloBytes;
  const peerEnd = peerAt + peerBytes;
  const rest = [bytes.subarray(20, 24), bytes.subarray(32, 60), bytes.subarray(peerEnd)];
  if (rest.some((part) => part.some((byte) => byte !== 0))) throw damaged('reserved');
  const hello = decodeHello(bytes.subarray(PREFIX_BYTES, peerAt));
  if (hello.kind === 'malformed') throw damaged('hello', hello.error);
  const { migrationId, guest, machine, secret, pageBytes } = hello.body;
  if (pageBytes !== PAGE_BYTES) throw damaged('page size');
  if ((secret !== undefined) !== (side === 'source')) throw damaged('secret');
  return {
    ...{ side, migrationId, epoch: guest.epoch + 1, machine, stateBytes },
    ...(secret === undefined ? {} : { secret }),
    peer: bytes.toString('utf8', peerAt, peerEnd),
    timeMs: bytes.readDoubleLE(24),
  };
}

function damaged(part: string, cause?: SternaError): SternaError {
  return halfImageError('Head of the half image is damaged', { part }, cause);
}
