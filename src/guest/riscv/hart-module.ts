import { readFileSync } from 'node:fs';
import { artifactUrl } from '../../base/index.ts';

/**
 * What `hart/hart.ts` exports. Addresses are in the memory of the RAM block; `hart/hart-layout.ts`
 * says what lies in a hart's area.
 */
export interface HartModule {
  /** `area`: HART_AREA_BYTES, aligned to a page. Begins with derived data flushed. */
  hartConfigure(area: number, ram: number, ramPages: number, receivedMap: number): void;
  /** A byte for each page. */
  hartSelectMap(dirtyMap: number): void;
  hartPostcopy(on: number): void;
  /** After the state block was written. */
  hartFlush(): void;
  hartFlushTranslations(): void;
  hartFlushCode(): void;
  /** A device or another hart wrote to a page of RAM. */
  hartCodeWritten(pfn: number): void;
  /** Machine mode at `pc`; a0 is `id`, a1 `argument`. */
  hartReset(pc: bigint, id: bigint, argument: bigint): void;
  /** Supervisor mode at `pc`, as firmware would enter it; the host answers its calls. */
  hartResetToSupervisor(pc: bigint, id: bigint, argument: bigint): void;
  /** At most `budget` instructions, those that trap included; returns how many. */
  hartRun(budget: number): number;
  /** One of HART_STOP. */
  hartStopReason(): number;
  /** To be called inside of an access to a device or an SBI call. */
  hartRequestStop(): void;
  /** Sets or clears the timer's interrupt by the time that it is. */
  hartUpdateTimer(): void;
}

export const HART_STOP = { budget: 0, waiting: 1, interrupted: 2, asked: 3 } as const;

/** What a hart asks of its host. */
export interface HartHost {
  /** Blocks until the page is there: 1; 0 when the vCPU is called to its safepoint before. */
  pageMissing(pfn: number): number;
  /** Whether 1, 2 or 4 bytes, aligned, are a device's. What follows is asked only where so. */
  mmioExists(address: number, bytes: number): number;
  mmioRead(address: number, bytes: number): number;
  mmioWrite(address: number, bytes: number, value: number): void;
  /** Arguments and results are in the state block: 0 done, 1 interrupted, to be repeated. */
  sbiCall(): number;
  /** Ticks of 10 MHz. Not called while the state block says that time is deterministic. */
  timeNow(): number;
}

export function instantiateHart(memory: WebAssembly.Memory, host: HartHost): HartModule {
  const bytes = readFileSync(artifactUrl('../riscv-hart.wasm', import.meta.url));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    env: {
      memory,
      pageMissing: (pfn: number) => host.pageMissing(pfn >>> 0),
      mmioExists: (address: number, size: number) => host.mmioExists(address >>> 0, size),
      mmioRead: (address: number, size: number) => host.mmioRead(address >>> 0, size),
      mmioWrite: (address: number, size: number, value: number) =>
        host.mmioWrite(address >>> 0, size, value >>> 0),
      sbiCall: () => host.sbiCall(),
      timeNow: () => host.timeNow(),
    },
  });
  // The exports are those of hart/hart.ts, which is built together with this file.
  return instance.exports as unknown as HartModule;
}
