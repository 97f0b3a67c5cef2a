import { PAGE_BYTES } from '../../base/index.ts';
import {
  dirtyMapAddress,
  type GuestMemory,
  type MissingPages,
  type RamBlock,
  type VcpuControl,
} from '../../guestmem/index.ts';
import { isInRam, RAM_BASE } from './board/address-map.ts';
import { DmaFault, type GuestRam } from './board/guest-ram.ts';

export interface HartRamParts {
  readonly vcpu: number;
  readonly memory: GuestMemory;
  readonly control: VcpuControl;
  readonly missing: MissingPages;
  /** What was decoded from the page is no longer true. */
  readonly codeWritten: (pfn: number) => void;
}

/**
 * The devices' way to RAM, on behalf of the vCPU in whose thread they run: what a device writes is
 * marked in that vCPU's log, and a page that is missing blocks it as an access of its own does.
 * Devices run between two slices, so that store and mark are on one side of a flip together.
 */
export class HartRam implements GuestRam {
  private readonly parts: HartRamParts;
  private readonly block: RamBlock;
  private readonly ramBytes: number;

  constructor(parts: HartRamParts) {
    this.parts = parts;
    // The machine has one block.
    this.block = parts.memory.blocks[0] as RamBlock;
    this.ramBytes = this.block.layout.pageCount * PAGE_BYTES;
  }

  read(gpa: number, length: number): Uint8Array {
    this.ensure(gpa, length);
    const at = this.address(gpa);
    return this.block.bytes.subarray(at, at + length);
  }

  write(gpa: number, bytes: Uint8Array): void {
    this.ensure(gpa, bytes.length);
    this.block.bytes.set(bytes, this.address(gpa));
    this.mark(gpa, bytes.length);
  }

  ensure(gpa: number, length: number): void {
    if (!isInRam(this.ramBytes, gpa, length)) throw new DmaFault(gpa);
    const { control, missing } = this.parts;
    if (!control.isPostcopy) return;
    for (const pfn of this.pages(gpa, length)) missing.wait(this.block, pfn);
  }

  private mark(gpa: number, length: number): void {
    const { vcpu, memory, codeWritten } = this.parts;
    const map = dirtyMapAddress(this.block.layout, vcpu, memory.activeMap(vcpu));
    for (const pfn of this.pages(gpa, length)) {
      this.block.bytes[map + pfn] = 1;
      codeWritten(pfn);
    }
  }

  private *pages(gpa: number, length: number): Generator<number> {
    const first = Math.floor((gpa - RAM_BASE) / PAGE_BYTES);
    const end = length === 0 ? first : Math.ceil((gpa - RAM_BASE + length) / PAGE_BYTES);
    for (let pfn = first; pfn < end; pfn += 1) yield pfn;
  }

  private address(gpa: number): number {
    return this.block.layout.ram + gpa - RAM_BASE;
  }
}
