// The page kernels: one call per batch of pages, over one RAM block's shared memory. README.md
// tells how they are built.
export {
  bitsOfMap, countBits, dirtyAllPopulated, mergeDirtyMap, setDirty, takeDirty, takeDirtyDown, takeHottest,
} from './bitmap';
export { crcInitialize, crc32c } from './crc32c';
export { gather, gatherEmpty, gatherZeros, hashPages } from './gather';
export { compress, probe } from './compress';
export { apply, compareHashes, forget } from './apply';
export {
  beginOrder, coldestBucket, endOrder, halveWeights, resetOrder, takeColdest, takeWritten,
} from './page-order';
export { rehashCache } from './xbzrle-cache';
export { clearGhosts } from './ghost-cache';
export { copyAndHash, hashPage } from './page-hash';
export { encode as xbzrleEncode, decode as xbzrleDecode } from './xbzrle';
export { encode as lz4Encode, decode as lz4Decode } from './lz4';
