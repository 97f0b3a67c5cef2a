import { PAGE_BYTES } from '../../base/index.ts';

const HEADER_WORDS = 4;
const PAGE_WORDS = PAGE_BYTES / 4;

/**
 * What is wrong with the bytes of a frame, or undefined: every page names the frame and its place
 * in it, and carries a checksum (FNV-1a over words) of both and of its content.
 *
 *   each page: u32 number · u32 page within the frame · u32 zero · u32 checksum · 4080 bytes
 */
export function frameDamage(bytes: Uint8Array, number: number): string | undefined {
  if (bytes.length === 0 || bytes.length % PAGE_BYTES !== 0) return `it has ${bytes.length} bytes`;
  // A copy: a view of words needs an aligned buffer (and slice() of a Buffer is no copy).
  const words = new Uint32Array(new Uint8Array(bytes).buffer);
  for (let page = 0; page < bytes.length / PAGE_BYTES; page += 1) {
    const at = page * PAGE_WORDS;
    const [of, index, zero, checksum] = words.subarray(at, at + HEADER_WORDS);
    if (of !== number) return `page ${page} is of frame ${of}`;
    if (index !== page || zero !== 0) return `page ${page} says that it is page ${index}`;
    let hash = mix(mix(0x811c9dc5, number), page);
    for (let word = HEADER_WORDS; word < PAGE_WORDS; word += 1) {
      hash = mix(hash, words[at + word] ?? 0);
    }
    if (hash >>> 0 !== checksum) return `page ${page} has the checksum of another content`;
  }
  return undefined;
}

function mix(hash: number, word: number): number {
  return Math.imul(hash ^ word, 0x01000193);
}
