import fc from 'fast-check';
import { expect, test } from 'vitest';
import { instantiatePrograms, type WorkloadProgram } from '../../../src/guest/index.ts';
import {
  dirtyMapAddress,
  GuestMemory,
  PAGE_MAP_BYTES,
  type RamBlock,
} from '../../../src/guestmem/index.ts';

/**
 * Goal: the soft MMU equals a plain reference, for any sequence of accesses, flips and missing
 * pages.
 */

const PAGES = 8;
const RAM_BYTES = PAGES * 4096;

class Fault extends Error {}

/** What the soft MMU should do, in the plainest words. */
class ReferenceMmu {
  readonly ram = Buffer.alloc(RAM_BYTES);
  readonly marks = [new Set<number>(), new Set<number>()];
  readonly received = new Set<number>();
  readonly brought: number[] = [];
  active = 0;
  postcopy = false;

  load(bytes: number, gpa: number): bigint {
    this.admit(bytes, gpa);
    return this.ram
      .subarray(gpa, gpa + bytes)
      .reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
  }

  store(bytes: number, gpa: number, value: bigint): void {
    // A page that is marked is there: only then the received map is not asked.
    this.admit(bytes, gpa, this.marks[this.active]?.has(gpa >> 12));
    for (let i = 0; i < bytes; i += 1) this.ram[gpa + i] = Number((value >> BigInt(8 * i)) & 255n);
    this.marks[this.active]?.add(gpa >> 12);
  }

  private admit(bytes: number, gpa: number, known = false): void {
    if (gpa >= RAM_BYTES || gpa % bytes !== 0) throw new Fault();
    if (!this.postcopy || known || this.received.has(gpa >> 12)) return;
    this.brought.push(gpa >> 12);
    this.received.add(gpa >> 12);
  }
}

class RealMmu {
  readonly brought: number[] = [];
  readonly block: RamBlock;
  private readonly program: WorkloadProgram;

  constructor() {
    const memory = GuestMemory.allocate([{ name: 'ram0', bytes: RAM_BYTES }], 1);
    const [block] = memory.blocks;
    const [program] = instantiatePrograms(memory, 1, {
      guestFault: () => {
        throw new Fault();
      },
      pageMissing: (on, pfn) => {
        this.brought.push(pfn);
        Atomics.store(on.bytes, on.layout.receivedMap + pfn, 1);
      },
    });
    this.block = block!;
    this.program = program!;
  }

  /** A new guest in the same memory: memories are dear. */
  reset(): void {
    const { layout, bytes } = this.block;
    this.block.ram.fill(0);
    bytes.fill(0, layout.receivedMap, layout.receivedMap + PAGES);
    for (const map of [0, 1]) bytes.fill(0, this.map(map), this.map(map) + PAGES);
    this.brought.length = 0;
    this.program.mmuPostcopy(false);
    this.select(0);
  }

  select(map: number): void {
    this.program.mmuSelectMap(this.map(map));
  }

  postcopy(on: boolean): void {
    this.program.mmuPostcopy(on);
  }

  load(bytes: number, gpa: number): bigint {
    if (bytes === 1) return BigInt(this.program.load8At(gpa) >>> 0);
    if (bytes === 4) return BigInt(this.program.load32At(gpa) >>> 0);
    return BigInt.asUintN(64, this.program.load64At(gpa));
  }

  store(bytes: number, gpa: number, value: bigint): void {
    if (bytes === 1) this.program.store8At(gpa, Number(value & 255n));
    else if (bytes === 4) this.program.store32At(gpa, Number(value & 0xffffffffn));
    else this.program.store64At(gpa, value);
  }

  marks(map: number): number[] {
    const bytes = this.block.bytes.subarray(this.map(map), this.map(map) + PAGE_MAP_BYTES);
    const pfns: number[] = [];
    for (let pfn = bytes.indexOf(1); pfn >= 0; pfn = bytes.indexOf(1, pfn + 1)) pfns.push(pfn);
    return pfns;
  }

  private map(map: number): number {
    return dirtyMapAddress(this.block.layout, 0, map);
  }
}

type Step =
  | {
      readonly kind: 'load' | 'store';
      readonly bytes: number;
      readonly gpa: number;
      readonly value: bigint;
    }
  | { readonly kind: 'flip' }
  | { readonly kind: 'postcopy'; readonly on: boolean };

const gpas = fc.oneof(
  { weight: 8, arbitrary: fc.nat(RAM_BYTES / 8 - 1).map((word) => word * 8) },
  { weight: 2, arbitrary: fc.nat(RAM_BYTES + 64) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(RAM_BYTES, RAM_BYTES - 1, 2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1),
  },
);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('load', 'store'),
      bytes: fc.constantFrom(1, 4, 8),
      gpa: gpas,
      value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'flip' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('postcopy' as const), on: fc.boolean() }) },
);

function outcome(run: () => bigint | undefined): string {
  try {
    return String(run());
  } catch (error) {
    if (error instanceof Fault) return 'fault';
    throw error;
  }
}

function apply(step: Step, mmu: ReferenceMmu | RealMmu): string {
  return outcome(() => {
    if (step.kind === 'load') return mmu.load(step.bytes, step.gpa);
    if (step.kind === 'store') mmu.store(step.bytes, step.gpa, step.value);
    return undefined;
  });
}

test('soft MMU equals its reference when accesses, flips and missing pages mix', () => {
  const real = new RealMmu();
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 60 }), (sequence) => {
      const reference = new ReferenceMmu();
      real.reset();
      for (const step of sequence) {
        if (step.kind === 'flip') {
          reference.active = 1 - reference.active;
          real.select(reference.active);
        } else if (step.kind === 'postcopy') {
          reference.postcopy = step.on;
          real.postcopy(step.on);
        } else {
          expect(apply(step, real)).toBe(apply(step, reference));
        }
      }
      expect(real.brought).toEqual(reference.brought);
      expect(real.block.ram.equals(reference.ram)).toBe(true);
      for (const map of [0, 1]) {
        expect(real.marks(map)).toEqual([...(reference.marks[map] ?? [])].sort((a, b) => a - b));
      }
    }),
    { numRuns: 60 },
  );
});
