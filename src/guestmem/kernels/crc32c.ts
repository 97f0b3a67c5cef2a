// CRC32C, slicing by 16, for the page tables (1/256 of the stream). The tables are 16 KiB in the
// block's memory.
import { crcTable } from './context';

export function crcInitialize(): void {
  const at = crcTable();
  for (let n: u32 = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >> 1) ^ 0x82F63B78 : c >> 1;
    store<u32>(at + (<usize>n << 2), c);
  }
  for (let n: u32 = 0; n < 256; n++) {
    let c = load<u32>(at + (<usize>n << 2));
    for (let slice: usize = 1; slice < 16; slice++) {
      c = load<u32>(at + ((<usize>c & 255) << 2)) ^ (c >> 8);
      store<u32>(at + (slice << 10) + (<usize>n << 2), c);
    }
  }
}

@inline function look(table: usize, slice: usize, word: u64, shift: u64): u32 {
  return load<u32>(table + (slice << 10) + ((<usize>(word >> shift) & 255) << 2));
}

export function crc32c(from: usize, length: usize): u32 {
  const t = crcTable();
  const end = from + length;
  let c: u32 = ~0;
  while (from + 16 <= end) {
    const x = load<u64>(from) ^ <u64>c, y = load<u64>(from, 8);
    c = look(t, 15, x, 0) ^ look(t, 14, x, 8) ^ look(t, 13, x, 16) ^ look(t, 12, x, 24)
      ^ look(t, 11, x, 32) ^ look(t, 10, x, 40) ^ look(t, 9, x, 48) ^ look(t, 8, x, 56)
      ^ look(t, 7, y, 0) ^ look(t, 6, y, 8) ^ look(t, 5, y, 16) ^ look(t, 4, y, 24)
      ^ look(t, 3, y, 32) ^ look(t, 2, y, 40) ^ look(t, 1, y, 48) ^ look(t, 0, y, 56);
    from += 16;
  }
  while (from < end) c = load<u32>(t + ((<usize>(c ^ load<u8>(from++)) & 255) << 2)) ^ (c >> 8);
  return ~c;
}
