export type { SecuritySettings } from '../channel/index.ts';
export { type Agent, startAgent } from './agent.ts';
export type { AgentOptions, AgentReady, GuestOptions } from './agent-options.ts';
export * from './client/index.ts';
export { type KeySetOptions, writeKeySet } from './keys/key-set.ts';
export { FileLedger, type LedgerDisk } from './state/file-ledger.ts';
export { defaultStateDirectory, StateDirectory } from './state/state-directory.ts';
