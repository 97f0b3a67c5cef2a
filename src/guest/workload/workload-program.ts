import { readFileSync } from 'node:fs';
import { artifactUrl } from '../../base/index.ts';
import type { GuestMemory, RamBlock } from '../../guestmem/index.ts';
import { FILL_CONTENTS, type FillContent } from './workload-spec.ts';

/**
 * What `programs/workload-programs.ts` exports. Pages are guest page numbers unless they are called
 * local.
 */
export interface WorkloadProgram {
  mmuConfigure(ram: number, pages: number, received: number): void;
  mmuSelectMap(dirtyMap: number): void;
  mmuPostcopy(on: boolean): void;
  programConfigure(firstPfn: number, pages: number, seed: number): void;
  /** Index in FILL_CONTENTS. */
  programContent(content: number): void;
  /** After a slice, also one that was thrown out of. */
  pagesDone(): number;
  nextPfn(): number;
  nextRandom(): number;
  readCount(): number;
  fillRun(first: number, count: number): number;
  memwriteConfigure(
    first: number,
    pages: number,
    pattern: number,
    words: number,
    stepBytes: number,
    readPercent: number,
  ): void;
  memwriteRun(pfn: number, random: number, budget: number): number;
  abRun(pfn: number, partFirst: number, partPages: number, budget: number): number;
  lmbenchConfigure(first: number, pages: number, unitBytes: number, strideBytes: number): void;
  lmbenchRun(pfn: number, budget: number): number;
  streamConfigure(first: number, pages: number, pagesPerFrame: number, changedBytes: number): void;
  /** `version`: how often page `pfn` will have been written; the first time is 1. */
  streamRun(pfn: number, version: number, budget: number): number;
  /** Where in the block's memory the page is, until the slice ends. May wait for it. */
  streamPage(pfn: number): number;
  /** May wait for the page of the table, as a store to it does. */
  erpCommitted(table: number, session: number): number;
  erpCommit(table: number, session: number, number: number): void;
  checkZero(first: number, count: number): number;
  checkAb(first: number, count: number, value: number): number;
  checkVersions(
    first: number,
    count: number,
    noise: boolean,
    words: number,
    stepBytes: number,
  ): number;
  checkLmbench(
    first: number,
    count: number,
    noise: boolean,
    unitBytes: number,
    strideBytes: number,
    sweeps: number,
  ): number;
  checkStream(first: number, count: number, version: number): number;
  checkSessions(table: number, vcpu: number, vcpuCount: number, sessions: number): number;
  versionSum(): number;
  badOffset(): number;
  badExpected(): number;
  badActual(): number;
  load8At(gpa: number): number;
  load32At(gpa: number): number;
  load64At(gpa: number): bigint;
  store8At(gpa: number, value: number): void;
  store32At(gpa: number, value: number): void;
  store64At(gpa: number, value: bigint): void;
  storeLoopBare(from: number, to: number, value: number): void;
  storeLoopMmu(from: number, to: number, value: number): void;
  storeLoopMmuSingle(from: number, to: number, value: number): void;
  pageLoopBare(from: number, to: number, value: number): void;
  pageLoopMmu(from: number, to: number, value: number): void;
}

/** What the soft MMU asks of its host. */
export interface MmuHost {
  /** Must throw. `gpa` is the offset into the block. */
  guestFault(block: RamBlock, gpa: number, write: boolean): never;
  /** Returns when the page (of the block) is there; what it throws leaves the program. */
  pageMissing(block: RamBlock, pfn: number): void;
}

/** One instance for each RAM block, each with its soft MMU over that block's memory. */
export function instantiatePrograms(
  memory: GuestMemory,
  seed: number,
  host: MmuHost,
  content: FillContent = 'noise',
): WorkloadProgram[] {
  const bytes = readFileSync(artifactUrl('../workload-programs.wasm', import.meta.url));
  const module = new WebAssembly.Module(bytes);
  return memory.blocks.map((block) => {
    const instance = new WebAssembly.Instance(module, {
      env: {
        memory: block.memory,
        guestFault: (gpa: number, write: number) => host.guestFault(block, gpa >>> 0, write !== 0),
        pageMissing: (pfn: number) => host.pageMissing(block, pfn),
      },
    });
    // The exports are those of programs/workload-programs.ts, which is built together with this
    // file.
    const program = instance.exports as unknown as WorkloadProgram;
    const { ram, pageCount, receivedMap, firstPfn } = block.layout;
    program.mmuConfigure(ram, pageCount, receivedMap);
    program.programConfigure(firstPfn, pageCount, seed);
    program.programContent(FILL_CONTENTS.indexOf(content));
    return program;
  });
}

/**
 * A host for programs that never touch a page that may be missing or out of bounds: either is a
 * defect.
 */
export function strictMmuHost(): MmuHost {
  return {
    guestFault: (block, gpa, write) => {
      const offset = `${block.layout.name}+0x${gpa.toString(16)}`;
      throw new Error(`Guest ${write ? 'store' : 'load'} outside RAM or misaligned at ${offset}`);
    },
    pageMissing: (block, pfn) => {
      throw new Error(`Guest page ${block.layout.firstPfn + pfn} is missing and nobody brings it`);
    },
  };
}
