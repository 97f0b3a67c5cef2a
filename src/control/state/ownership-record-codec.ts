import { crc32c, type OwnershipRecord, type OwnershipState } from '../../base/index.ts';

/**
 * One record of the ownership log, 512 bytes, little-endian: it lies in one sector, so that it is
 * written whole or torn, and never spoils its neighbour.
 *
 *    0  u32 magic "STOW"    4  u32 crc32c of bytes 8-511
 *    8  f64 sequence       16  u16 length of the text     18  u16 version, 1     20  u32 0
 *   24  the record as JSON in UTF-8, zeros behind
 */
export const OWNERSHIP_RECORD_BYTES = 512;

export interface SequencedRecord {
  /** 1 for the first record of a guest, then one more each time. */
  readonly sequence: number;
  readonly record: OwnershipRecord;
}

const MAGIC = 0x574f5453;
const VERSION = 1;
const TEXT_OFFSET = 24;
/** An address of the operator's; what is longer is cut, because it is for people only. */
const PEER_BYTES_MAX = 160;
const STATES: ReadonlySet<string> = new Set<OwnershipState>([
  'owner',
  'granting',
  'granted',
  'preparing',
  'abandoned',
  'lost',
]);

export function encodeOwnershipRecord({ sequence, record }: SequencedRecord): Buffer {
  const { uuid, epoch, state, migrationId, peer } = record;
  const shortPeer = peer === undefined ? undefined : cut(peer, PEER_BYTES_MAX);
  const text = JSON.stringify({ uuid, epoch, state, migrationId, peer: shortPeer });
  const bytes = Buffer.alloc(OWNERSHIP_RECORD_BYTES);
  const written = bytes.write(text, TEXT_OFFSET, 'utf8');
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeDoubleLE(sequence, 8);
  bytes.writeUInt16LE(written, 16);
  bytes.writeUInt16LE(VERSION, 18);
  bytes.writeUInt32LE(crc32c(bytes.subarray(8)), 4);
  return bytes;
}

/** Undefined for what is not an intact record: torn, damaged, or never written. */
export function decodeOwnershipRecord(bytes: Uint8Array): SequencedRecord | undefined {
  if (bytes.length !== OWNERSHIP_RECORD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC || view.getUint16(18, true) !== VERSION) return undefined;
  if (view.getUint32(4, true) !== crc32c(bytes.subarray(8))) return undefined;
  const textBytes = view.getUint16(16, true);
  const text = Buffer.from(bytes.subarray(TEXT_OFFSET, TEXT_OFFSET + textBytes)).toString('utf8');
  const record = parseRecord(text);
  return record === undefined ? undefined : { sequence: view.getFloat64(8, true), record };
}

function parseRecord(text: string): OwnershipRecord | undefined {
  let value: Record<string, unknown>;
  try {
    // The checksum was right, so this is what encodeOwnershipRecord() wrote, or a newer version of
    // it.
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { uuid, epoch, state, migrationId, peer } = value;
  if (typeof uuid !== 'string' || typeof epoch !== 'number') return undefined;
  if (typeof state !== 'string' || !STATES.has(state)) return undefined;
  return {
    uuid,
    epoch,
    state: state as OwnershipState,
    migrationId: typeof migrationId === 'string' ? migrationId : undefined,
    peer: typeof peer === 'string' ? peer : undefined,
  };
}

/** To `maxBytes` of JSON text, at a character's boundary. */
function cut(text: string, maxBytes: number): string {
  // Control characters and quotes would grow when they are escaped.
  const plain = text.replace(/[\p{Cc}"\\]/gu, '?');
  const encoded = new Uint8Array(maxBytes);
  const { written } = new TextEncoder().encodeInto(plain, encoded);
  return new TextDecoder().decode(encoded.subarray(0, written));
}
