import { crc32c } from '../../base/index.ts';
import { halfImageError } from './half-image-error.ts';
import { HALF_SEAL_BYTES } from './half-layout.ts';

/** The end of a half image. It is written when all before it is durable. */
export interface HalfSeal {
  /** Pages that the half has, of all blocks. */
  readonly pages: number;
  /** Of the head: the seal is that of no other file. */
  readonly headCrc: number;
  readonly stateCrc: number;
  /** For each block, of its bitmap and then its hashes. */
  readonly mapCrcs: readonly number[];
}

const MAGIC = 0x4c414553;
const MAP_CRCS_AT = 24;
const CRC_AT = HALF_SEAL_BYTES - 4;

export function encodeHalfSeal(seal: HalfSeal): Buffer {
  const bytes = Buffer.alloc(HALF_SEAL_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(seal.mapCrcs.length, 4);
  bytes.writeUInt32LE(seal.pages, 8);
  bytes.writeUInt32LE(seal.headCrc, 12);
  bytes.writeUInt32LE(seal.stateCrc, 16);
  for (const [index, crc] of seal.mapCrcs.entries()) {
    bytes.writeUInt32LE(crc, MAP_CRCS_AT + index * 4);
  }
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, CRC_AT)), CRC_AT);
  return bytes;
}

/** Throws E_HALF_IMAGE. `blockCount`: what the head has said. */
export function decodeHalfSeal(bytes: Buffer, blockCount: number): HalfSeal {
  if (bytes.length !== HALF_SEAL_BYTES || bytes.readUInt32LE(0) !== MAGIC) {
    throw halfImageError('Half image is not complete');
  }
  if (crc32c(bytes.subarray(0, CRC_AT)) !== bytes.readUInt32LE(CRC_AT)) {
    throw halfImageError('Seal of the half image is damaged');
  }
  const mapCrcs = Array.from({ length: blockCount }, (_, index) =>
    bytes.readUInt32LE(MAP_CRCS_AT + index * 4),
  );
  const seal: HalfSeal = {
    pages: bytes.readUInt32LE(8),
    headCrc: bytes.readUInt32LE(12),
    stateCrc: bytes.readUInt32LE(16),
    mapCrcs,
  };
  // One encoding for each seal: what is reserved is zero, and the blocks are those of the head.
  if (!bytes.equals(encodeHalfSeal(seal)))
    throw halfImageError('Seal of the half image is damaged');
  return seal;
}
