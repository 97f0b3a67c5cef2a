// What one hart keeps in the memory of the RAM block: byte offsets from the hart's area. Plain
// numbers, valid in AssemblyScript and in TypeScript: the module and its host import this file.
// Everything is little-endian. The first page is the architectural state, all that migrates, and
// what is not named in it is zero; behind it lies what can be derived again.

/** x0 to x31, 8 bytes each; x0 is always zero. */
export const X_REGISTERS = 0x000;
/** Takes the results that are meant for x0. Always zero between runs. */
export const X_SINK = 0x100;
/** f0 to f31, 8 bytes each; single precision is NaN-boxed. */
export const F_REGISTERS = 0x200;

export const PC = 0x300;
/** u32: 0 user, 1 supervisor, 3 machine. */
export const PRIVILEGE = 0x308;
/** u32: 1 while the hart waits for an interrupt. */
export const WAITING = 0x30c;
/** u64: instructions so far, those that trapped included: the clock of a replayable run. */
export const STEPS = 0x310;
/** u64: how many of the steps trapped instead of retiring. minstret does not count these. */
export const TRAPPED_STEPS = 0x318;
/** u32: bytes of the reservation of LR, 4 or 8; 0 without one. */
export const RESERVATION_BYTES = 0x320;
/** u64: guest-physical. */
export const RESERVATION_ADDRESS = 0x328;
/** u64: what LR read there. */
export const RESERVATION_VALUE = 0x330;
/** i32, changed by atomics only: devices in other threads set and clear bits of it. */
export const MIP = 0x340;
/** u32: flags in bits 0 to 4, rounding mode in 5 to 7. */
export const FCSR = 0x344;
/** u32: 1 when an ecall from supervisor mode is the host's to answer. */
export const SBI_ENABLED = 0x348;
/** u32: 1 when time is TIME_BASE + STEPS / 10, so that a run can be replayed. */
export const DETERMINISTIC = 0x34c;
/** u64: ticks of 10 MHz. */
export const TIME_BASE = 0x350;

export const MSTATUS = 0x400;
export const MEDELEG = 0x408;
export const MIDELEG = 0x410;
export const MIE = 0x418;
export const MTVEC = 0x420;
export const MSCRATCH = 0x428;
export const MEPC = 0x430;
export const MCAUSE = 0x438;
export const MTVAL = 0x440;
export const MCOUNTEREN = 0x448;
export const MCOUNTINHIBIT = 0x450;
export const MENVCFG = 0x458;
export const STVEC = 0x460;
export const SSCRATCH = 0x468;
export const SEPC = 0x470;
export const SCAUSE = 0x478;
export const STVAL = 0x480;
export const SCOUNTEREN = 0x488;
export const SENVCFG = 0x490;
export const SATP = 0x498;
export const STIMECMP = 0x4a0;
export const MHARTID = 0x4a8;
/** Added to the count of steps; the value itself while mcountinhibit stops the counter. */
export const MCYCLE_OFFSET = 0x4b0;
export const MINSTRET_OFFSET = 0x4b8;
/** 16 bytes. */
export const PMPCFG = 0x500;
/** 16 words of 8 bytes. */
export const PMPADDR = 0x510;

export const STATE_BYTES = 0x1000;

/** A page-crossing instruction is decoded to here, with ends of page behind it. */
export const CROSSING_SLOT = 0x1000;
/** u32 for each TLB and mode: a bit for every 32 entries that are not all empty. */
export const TLB_TOUCHED = 0x1100;
/** u32 each: pages of code that were written since they were decoded. */
export const WRITTEN_PAGES = 0x2000;
export const WRITTEN_PAGES_MAX = 1024;
/** u32 for each entry of the decode cache: the page that it holds, plus 1. */
export const DECODE_TAGS = 0x4000;
export const READ_TLB = 0x10000;
export const WRITE_TLB = 0x20000;
export const FETCH_TLB = 0x30000;
/** A byte for each page of RAM: 1 it was decoded, 2 it was written since. */
export const CODE_MAP = 0x40000;
/** 2 GiB. */
export const CODE_MAP_PAGES = 0x80000;
export const DECODE_CACHE = 0x100000;
/** Pages of code that the decode cache holds. */
export const DECODE_PAGES = 4096;
/** 2048 slots, two ends of page, the page's address, and what keeps pages out of step in caches. */
export const DECODE_PAGE_BYTES = 0x4080;

export const HART_AREA_BYTES = 0x4200000;
