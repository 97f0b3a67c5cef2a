// The page kernels: one call per batch of pages, over one RAM block's shared memory. README.md
// tells how they are built.
export { mergeDirtyMap, takeDirty, countBits, dirtyAllPopulated } from './bitmap';
export { crcInitialize, crc32c } from './crc32c';
export { gather, gatherEmpty, hashPages } from './gather';
export { apply, compareHashes } from './apply';
export { copyAndHash, hashPage } from './page-hash';
export { encode as xbzrleEncode, decode as xbzrleDecode } from './xbzrle';
