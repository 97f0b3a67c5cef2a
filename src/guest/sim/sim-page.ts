import { PAGE_BYTES, Random } from '../../base/index.ts';

/**
 * Contents of the simulated guest's pages: a function of seed, page and version, so that a test
 * knows each legal state. Version 0 is a page of zeros. By page number there are pages that change
 * in a few words (good for delta encoding), in all words (bad for it), and pages that go back to
 * zero with every second write.
 */
export function simPage(seed: number, pfn: number, version: number): Uint8Array {
  if (version === 0 || (!tellsVersion(pfn) && version % 2 === 0)) return ZEROS;
  const page = new Uint8Array(PAGE_BYTES);
  const words = new Uint32Array(page.buffer);
  const noise = new Random(Math.imul(seed, 0x9e3779b1) ^ (pfn + 1));
  if (pfn % KINDS === DENSE) {
    const dense = new Random(noise.uint32() ^ Math.imul(version, 0x85ebca6b));
    for (let i = 1; i < words.length; i += 1) words[i] = dense.uint32();
  } else {
    for (let i = 1; i < words.length; i += 1) words[i] = noise.uint32();
    for (let i = 64; i < words.length; i += 192)
      words[i] = (words[i] ?? 0) + Math.imul(version, i * 2 + 1);
  }
  words[0] = tellsVersion(pfn) ? version : 1;
  return page;
}

/**
 * The version that a page says it has. A page that goes back to zero has only versions 0 and 1 to
 * tell.
 */
export function simPageVersion(ram: Buffer, offsetBytes = 0): number {
  return ram.readUInt32LE(offsetBytes);
}

/** False for pages that go back to zero: how often they were written cannot be told from them. */
export function tellsVersion(pfn: number): boolean {
  return pfn % KINDS !== ZEROED;
}

const KINDS = 4;
const DENSE = 1;
const ZEROED = 3;
/** Most pages of a guest never hold anything else. Nobody writes into what simPage() returns. */
const ZEROS = new Uint8Array(PAGE_BYTES);
