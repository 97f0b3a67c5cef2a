// The programs of the synthetic guests. One instance serves one vCPU and one RAM block. README.md
// of src/guest tells how.
export { mmuConfigure, mmuSelectMap, mmuPostcopy } from '../../guestmem/soft-mmu/soft-mmu';
export { programConfigure, pagesDone, nextPfn, nextRandom, readCount } from './slice';
export { fillRun } from './fill';
export { memwriteConfigure, memwriteRun, memwriteSeen } from './memwrite';
export { abRun } from './ab';
export { lmbenchConfigure, lmbenchRun } from './lmbench';
export { streamConfigure, streamPage, streamRun } from './stream';
export { erpCommit, erpCommitted } from './erp';
export {
  badActual, badExpected, badOffset, checkAb, checkVersions, checkZero, versionSum,
} from './check';
export { checkLmbench, checkSessions, checkStream } from './exact-check';
export {
  pageLoopBare, pageLoopMmu, storeLoopBare, storeLoopMmu, storeLoopMmuSingle,
} from './store-loops';
export { load8At, load32At, load64At, store8At, store32At, store64At } from './single-accesses';
