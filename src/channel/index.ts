export * from './address.ts';
export type { ReadMode } from './adopt.ts';
export type * from './channel.ts';
export { fileError } from './channel-error.ts';
export * from './file-channel.ts';
export * from './frame-reader.ts';
export {
  type MemoryChannelPair,
  type MemoryDirection,
  type MemoryPairOptions,
  memoryChannelPair,
} from './memory-channel.ts';
export type { FrameFate, MemoryLinkOptions } from './memory-link.ts';
export * from './rate-limiter.ts';
export { loadSecurity, type SecurityRole } from './security/load-security.ts';
export { requireProtected } from './security/protected-address.ts';
export { formatPskLine } from './security/psk-file.ts';
export * from './security/security.ts';
export { type ConnectOptions, connectTcp } from './tcp-channel.ts';
export * from './tcp-listener.ts';
