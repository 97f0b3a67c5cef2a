/**
 * Reads an LZ4 block octet by octet, as docs/protocol.md tells it: the twin of the decoder in
 * kernels/lz4.ts. Undefined when it is malformed or longer than `limitBytes`. What writes blocks
 * has the package `lz4` for its judge.
 */
export function decodeLz4(block: Uint8Array, limitBytes: number): Uint8Array | undefined {
  const out: number[] = [];
  let at = 0;
  /** The rest of a length whose half of the token is full; undefined when the block ends in it. */
  const more = (length: number): number | undefined => {
    if (length < 15) return length;
    for (let octet = 255; octet === 255; at += 1) {
      if (at >= block.length) return undefined;
      octet = block[at] as number;
      length += octet;
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at] as number;
    at += 1;
    const literals = more(token >> 4);
    if (literals === undefined || at + literals > block.length) return undefined;
    if (out.length + literals > limitBytes) return undefined;
    out.push(...block.subarray(at, at + literals));
    at += literals;
    if (at === block.length) return Uint8Array.from(out);
    if (at + 2 > block.length) return undefined;
    const offset = (block[at] as number) | ((block[at + 1] as number) << 8);
    at += 2;
    if (offset === 0 || offset > out.length) return undefined;
    const rest = more(token & 15);
    if (rest === undefined || out.length + rest + 4 > limitBytes) return undefined;
    for (let count = rest + 4; count > 0; count -= 1) out.push(out[out.length - offset] as number);
  }
  return undefined;
}
