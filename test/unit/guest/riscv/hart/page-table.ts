import { SATP } from '../../../../../src/guest/riscv/hart/hart-layout.ts';
import { type HartBench, RAM_START } from './hart-bench.ts';

/** Flags of page table entries. */
export const PTE = {
  V: 1n,
  R: 2n,
  W: 4n,
  X: 8n,
  U: 16n,
  G: 32n,
  A: 64n,
  D: 128n,
} as const;

const ROOT = RAM_START + 0x40_0000n;

/** Page tables for Sv39, built in the bench's RAM; tables are taken one after another. */
export class PageTable {
  readonly #bench: HartBench;
  #free = ROOT + 0x1000n;

  constructor(bench: HartBench) {
    this.#bench = bench;
  }

  /** Where the entry for `address` lies at `level` (0: pages of 4 KiB), with tables down to it. */
  entry(address: bigint, level = 0): bigint {
    let table = ROOT;
    for (let depth = 2; ; depth -= 1) {
      const at = table + ((address >> BigInt(12 + 9 * depth)) & 511n) * 8n;
      if (depth === level) return at;
      if (this.#bench.ram64(at) === 0n) {
        this.#bench.setRam64(at, ((this.#free >> 12n) << 10n) | PTE.V);
        this.#free += 0x1000n;
      }
      table = ((this.#bench.ram64(at) >> 10n) & 0xfff_ffff_ffffn) << 12n;
    }
  }

  map(address: bigint, physical: bigint, flags: bigint, level = 0): bigint {
    const at = this.entry(address, level);
    this.#bench.setRam64(at, ((physical >> 12n) << 10n) | flags);
    return at;
  }

  flags(address: bigint, level = 0): bigint {
    return this.#bench.ram64(this.entry(address, level)) & 0x3ffn;
  }

  use(space = 0n): void {
    this.#bench.set64(SATP, (8n << 60n) | (space << 44n) | (ROOT >> 12n));
    this.#bench.hart.hartFlush();
  }
}
