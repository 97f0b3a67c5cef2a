export type { SecuritySettings } from '../channel/index.ts';
export { type Agent, startAgent } from './agent.ts';
export type { AgentOptions, AgentReady, GuestOptions } from './agent-options.ts';
export * from './client/index.ts';
export { FileSpill, spillPath } from './half-image/file-spill.ts';
export { type JoinedHalves, type JoinHalvesOptions, joinHalves } from './half-image/join-halves.ts';
export { type KeySetOptions, writeKeySet } from './keys/key-set.ts';
export { FileLedger, type LedgerDisk } from './state/file-ledger.ts';
export { defaultStateDirectory, StateDirectory } from './state/state-directory.ts';
