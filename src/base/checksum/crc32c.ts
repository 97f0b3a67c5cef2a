/**
 * CRC32C (Castagnoli, reflected 0x82F63B78), as in iSCSI and ext4. For control messages, records
 * and device state; pages have the kernel's.
 */
const TABLE = new Uint32Array(256).map((_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit += 1) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c;
});

/** Continues `crc` (0 at first) over `bytes`. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  let c = ~crc;
  // TABLE is indexed by a byte and `index` stays inside: neither access can be undefined.
  for (let index = 0; index < bytes.length; index += 1) {
    c = (TABLE[(c ^ (bytes[index] as number)) & 0xff] as number) ^ (c >>> 8);
  }
  return ~c >>> 0;
}
