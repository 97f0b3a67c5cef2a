import { randomFillSync } from 'node:crypto';
import { type BoardBlock, RANDOM_REGION } from '../board-block.ts';
import type { DescriptorChain } from './descriptor-chain.ts';
import { type VirtioDevice, type VirtioRequest, VirtioViolation } from './virtio-device.ts';

/** A device may give less than was asked for; a driver asks again. */
const ANSWER_BYTES_MAX = 4096;

/** virtio-rng: fills what the driver offers with random bytes. */
export class RandomDevice implements VirtioDevice {
  readonly deviceId = 4;
  readonly features = 0n;
  readonly queueCount = 1;
  readonly config = new Uint8Array(0);
  private readonly words: Uint32Array;

  constructor(block: BoardBlock) {
    this.words = block.region(RANDOM_REGION);
  }

  prepare({ readable, writable }: DescriptorChain): VirtioRequest {
    if (readable.length > 0 || writable.length === 0) {
      throw new VirtioViolation('A request for randomness with nothing to fill');
    }
    const length = Math.min(writable.length, ANSWER_BYTES_MAX);
    return {
      touched: writable.touched(0, length, true),
      run: () => {
        writable.write(0, this.bytes(length));
        return length;
      },
    };
  }

  private bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (!this.words.some((word) => word !== 0)) return randomFillSync(bytes);
    const view = new DataView(new ArrayBuffer(Math.ceil(length / 4) * 4));
    for (let at = 0; at < length; at += 4) view.setUint32(at, this.step(), true);
    bytes.set(new Uint8Array(view.buffer, 0, length));
    return bytes;
  }

  /** Marsaglia's xorshift128. A replayed guest must see the same bytes; they are no secret then. */
  private step(): number {
    const [x = 0, y = 0, z = 0, w = 0] = this.words;
    const t = x ^ (x << 11);
    this.words.set([y, z, w, w ^ (w >>> 19) ^ (t ^ (t >>> 8))]);
    return this.words[3] ?? 0;
  }
}

/** Makes the bytes depend on the seed alone, from now on. */
export function seedRandomDevice(block: BoardBlock, seed: number): void {
  // Any words but four zeros will do; these are far from each other for neighbouring seeds.
  const words = [1, 2, 3, 4].map((n) => Math.imul((seed ^ (seed >>> 15)) + n, 0x9e37_79b1) | n);
  block.region(RANDOM_REGION).set(words);
}
