// 2. XBZRLE of sparse pages, encode and decode, as a ratio to memcpy in the same memory; and what moving dirty marks
// into the bitmaps costs.

import { summary } from '../dist/experiments/measuring/index.js';
import { GuestMemory } from '../dist/guestmem/index.js';

const PAGE = 4096;

function measure(pages, body) {
  const startMs = performance.now();
  for (let page = 0; page < pages; page += 1) body(page);
  return (pages * PAGE) / ((performance.now() - startMs) / 1000);
}

/** Nanoseconds a page of one merge of a dirty map of 1 GiB, with so many marks in a hundred. */
function mergeNanoseconds(percent, rounds) {
  const memory = GuestMemory.allocate([{ name: 'ram0', bytes: 2 ** 30 }], 1);
  const [{ layout, kernels, bytes }] = memory.blocks;
  const map = layout.dirtyMaps;
  return Array.from({ length: rounds }, () => {
    // In clusters of 64 pages, as guests write.
    for (let pfn = 0; pfn < layout.pageCount; pfn += 64) {
      if (((pfn / 64) * 37) % 100 < percent) bytes.fill(1, map + pfn, map + pfn + 64);
    }
    const startMs = performance.now();
    kernels.mergeDirtyMap(map);
    return ((performance.now() - startMs) * 1e6) / layout.pageCount;
  });
}

export const kernels = {
  name: 'kernels',
  async run({ smoke, record }) {
    const pages = smoke ? 1024 : 16_384;
    const rounds = smoke ? 1 : 7;
    const memory = GuestMemory.allocate([{ name: 'ram0', bytes: pages * 3 * PAGE }], 1);
    const [{ layout, kernels, bytes }] = memory.blocks;
    const words = new Uint32Array(bytes.buffer, layout.ram, (pages * 3 * PAGE) / 4);
    let noise = 1;
    for (let index = 0; index < (pages * PAGE) / 4; index += 1) {
      noise ^= noise << 13;
      noise ^= noise >>> 17;
      noise ^= noise << 5;
      words[index] = noise;
    }
    const oldPages = layout.ram;
    const newPages = layout.ram + pages * PAGE;
    const deltas = layout.ram + 2 * pages * PAGE;
    for (const changed of [1, 8, 64]) {
      bytes.copyWithin(newPages, oldPages, oldPages + pages * PAGE);
      for (let page = 0; page < pages; page += 1) {
        for (let word = 0; word < changed; word += 1)
          words[((pages + page) * PAGE + (word * PAGE) / changed) / 4] ^= 0x01010101 * (word + 1);
      }
      const lengths = new Int32Array(pages);
      const results = { encode: [], decode: [] };
      for (let round = 0; round < rounds; round += 1) {
        const copy = measure(pages, (page) =>
          bytes.copyWithin(
            deltas + page * PAGE,
            oldPages + page * PAGE,
            oldPages + (page + 1) * PAGE,
          ),
        );
        const encode = measure(pages, (page) => {
          lengths[page] = kernels.xbzrleEncode(
            oldPages + page * PAGE,
            newPages + page * PAGE,
            deltas + page * PAGE,
            PAGE,
          );
        });
        const decode = measure(pages, (page) => {
          if (!kernels.xbzrleDecode(oldPages + page * PAGE, deltas + page * PAGE, lengths[page]))
            throw new Error('Bad delta');
        });
        if (
          Buffer.compare(
            bytes.subarray(oldPages, oldPages + pages * PAGE),
            bytes.subarray(newPages, newPages + pages * PAGE),
          ) !== 0
        )
          throw new Error('Decoded pages differ');
        // The next round needs the old pages back.
        for (let page = 0; page < pages; page += 1) {
          for (let word = 0; word < changed; word += 1)
            words[(page * PAGE + (word * PAGE) / changed) / 4] ^= 0x01010101 * (word + 1);
        }
        results.encode.push(encode / copy);
        results.decode.push(decode / copy);
      }
      record({
        what: 'XBZRLE over memcpy in the same memory',
        changedWords: changed,
        encode: summary(results.encode),
        decode: summary(results.decode),
        target: 'both >= 0.5',
      });
    }
    for (const percent of [0, 10, 100]) {
      record({
        what: 'nanoseconds a page of merging a dirty map',
        markedPercent: percent,
        nanoseconds: summary(mergeNanoseconds(percent, smoke ? 2 : 30).slice(1)),
        target: 'below 1',
      });
    }
  },
};
