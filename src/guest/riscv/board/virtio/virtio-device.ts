import type { DescriptorChain } from './descriptor-chain.ts';

/** VIRTIO_F_VERSION_1: every device here offers it, and needs it. */
export const VERSION_1 = 1n << 32n;

/** What a device is, behind its transport. */
export interface VirtioDevice {
  readonly deviceId: number;
  /** Besides VERSION_1. */
  readonly features: bigint;
  readonly queueCount: number;
  /** What the driver reads from offset 0x100 on. */
  readonly config: Uint8Array;
  /**
   * Looks at a request, and does nothing that a repetition would do twice. Throws
   * {@link VirtioViolation} when no answer to it is possible.
   */
  prepare(chain: DescriptorChain, queue: number): VirtioRequest;
}

/** A request that was understood. */
export interface VirtioRequest {
  /** All RAM that `run` touches. */
  readonly touched: readonly TouchedRange[];
  /** Does it; returns how many bytes were written for the guest. */
  run(): number;
}

export interface TouchedRange {
  readonly gpa: number;
  readonly length: number;
  readonly willWrite: boolean;
}

/** The driver broke the rules: the device stands still until it is reset. */
export class VirtioViolation extends Error {
  override readonly name = 'VirtioViolation';
}
