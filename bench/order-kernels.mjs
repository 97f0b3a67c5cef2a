// What the order costs a migration worker, without a link or a second process: taking the coldest pages instead of the
// next ones, and syncs that weigh, over the time in which the same pages are gathered.

import { median } from '../dist/experiments/measuring/index.js';
import { GuestMemory } from '../dist/guestmem/index.js';

const PAGE = 4096;
/** Of the kernels: the list of a batch. */
const PFN_LIST = 0x10000;
const BATCH = 256;
/** As PageOrder has it: a sync in 50 ms at most, in which a worker gathers so many pages. */
const SYNCS_PER_PASS = 64;

function timed(work) {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

/** Milliseconds of a pass over all pages: ordered or ascending, with so many pages written meanwhile. */
function pass(block, { ordered, written, gathers }) {
  const { pageCount, dirtyMaps } = block.layout;
  const batches = Math.ceil(pageCount / BATCH);
  const batchesPerSync = Math.max(1, Math.floor(batches / SYNCS_PER_PASS));
  block.kernels.dirtyAllPopulated();
  if (ordered) block.order.begin(true);
  let cursor = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    if (batch % batchesPerSync === 0) {
      // The guest's work, in both.
      for (let page = 0; page < written; page += 1) {
        block.bytes[dirtyMaps + ((page * 257 + batch * 31) % pageCount)] = 1;
      }
      if (ordered) block.mergeRetiredLog(0, 0);
    }
    const taken = ordered ? block.order.take(cursor, BATCH) : block.takeDirty(cursor, BATCH);
    cursor = taken.next;
    if (gathers) block.gather(block.slotAddress(0) + 32, taken.count, false, false, 1);
  }
  // The sync that ends a pass.
  block.mergeRetiredLog(0, 0);
  block.order.end();
}

/** Milliseconds in which every sixteenth page is encoded, the `residue` saying which; ghosts see those of 5. */
function encode(block, residue, age) {
  const list = new Uint32Array(block.memory.buffer, PFN_LIST, BATCH);
  const pages = block.layout.pageCount / 16;
  return timed(() => {
    for (let first = 0; first < pages; first += BATCH) {
      for (let index = 0; index < BATCH; index += 1) list[index] = (first + index) * 16 + residue;
      block.gather(block.slotAddress(0) + 32, BATCH, true, true, age);
    }
  });
}

/** What the ghosts take of encoding, when one page of sixteen is theirs. */
export function ghostKernels(smoke) {
  const pageCount = smoke ? 8192 : 262_144;
  const { blocks } = GuestMemory.allocate([{ name: 'ram', bytes: pageCount * PAGE }], 1);
  const [block] = blocks;
  block.cache.reset(pageCount);
  const samples = { seen: [], unseen: [] };
  for (let round = 1; round <= (smoke ? 3 : 30); round += 1) {
    for (let pfn = 5; pfn < pageCount; pfn += 16) {
      block.ram.fill(round, pfn * PAGE + 64 * (round % 60), pfn * PAGE + 64 * (round % 60) + 32);
      block.ram.fill(round, (pfn + 1) * PAGE + 64, (pfn + 1) * PAGE + 96);
    }
    samples.seen.push(encode(block, 5, round));
    samples.unseen.push(encode(block, 6, round));
  }
  const seen = median(samples.seen);
  const unseen = median(samples.unseen);
  return {
    what: 'ghost caches: what they take of encoding, when they see one page of sixteen',
    share: Number(((seen - unseen) / unseen / 16).toFixed(4)),
    encodeNanosecondsPerPage: Number(((unseen * 1e6) / (pageCount / 16)).toFixed(1)),
    target: 'share < 0.01',
  };
}

export function orderKernels(smoke) {
  const pageCount = smoke ? 4096 : 65_536;
  const memory = GuestMemory.allocate([{ name: 'ram', bytes: pageCount * PAGE }], 1);
  const [block] = memory.blocks;
  for (let at = 0; at < pageCount * PAGE; at += 64) block.ram[at] = (at >> 6) | 1;
  block.bytes.fill(
    0xff,
    block.layout.populatedBitmap,
    block.layout.populatedBitmap + pageCount / 8,
  );
  const written = pageCount / 64;
  const samples = { whole: [], ascending: [], ordered: [] };
  for (let round = 0; round < (smoke ? 2 : 15); round += 1) {
    samples.whole.push(timed(() => pass(block, { ordered: false, written, gathers: true })));
    samples.ascending.push(timed(() => pass(block, { ordered: false, written, gathers: false })));
    samples.ordered.push(timed(() => pass(block, { ordered: true, written, gathers: false })));
  }
  const [whole, ascending, ordered] = ['whole', 'ascending', 'ordered'].map((name) =>
    median(samples[name]),
  );
  return {
    what: 'page order: choosing pages and weighing syncs, over gathering the same pages',
    pages: pageCount,
    share: Number(((ordered - ascending) / whole).toFixed(4)),
    nanosecondsPerPage: Number((((ordered - ascending) * 1e6) / pageCount).toFixed(1)),
    gatherNanosecondsPerPage: Number(((whole * 1e6) / pageCount).toFixed(1)),
    target: 'share < 0.03',
  };
}
